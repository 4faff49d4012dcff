/** Who is at the other end of a mutual-TLS connection: the SPIFFE id in the certificate that was verified already. */
// x509 needs its polyfill before it is loaded.
import 'reflect-metadata';
import * as x509 from '@peculiar/x509';
import { parseSpiffeId, spiffeId, type SpiffeId } from '../model/names.js';

/** The one URI among the names of a certificate; undefined when there is none, or more than one (X509-SVID §2). */
export function uriOf(der: Uint8Array): string | undefined {
  const names = new x509.X509Certificate(Uint8Array.from(der)).getExtension(
    x509.SubjectAlternativeNameExtension,
  )?.names;
  const uris = names?.items.filter(({ type }) => type === 'url') ?? [];
  return uris.length === 1 ? uris[0]?.value : undefined;
}

/** The identity that a certificate proves, if it is one of `trustDomain` and of the mesh's shape. */
export function identityOf(der: Uint8Array, trustDomain: string): SpiffeId | undefined {
  const parts = parseSpiffeId(uriOf(der) ?? '');
  return parts?.trustDomain === trustDomain ? spiffeId(parts) : undefined;
}
