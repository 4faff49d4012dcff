/** Makes X.509 certificates: a root, an issuer under it, and leaves that bear a SPIFFE id (X509-SVID). ECDSA P-256 throughout. */
import { webcrypto } from 'node:crypto';
// x509 needs its polyfill before it is loaded.
import 'reflect-metadata';
import * as x509 from '@peculiar/x509';
import { RESERVED_NAMESPACE, spiffeId, type SpiffeId } from '../model/names.js';
import { uriOf } from '../rpc/peer.js';

x509.cryptoProvider.set(webcrypto as Crypto);

const P256 = { name: 'ECDSA', namedCurve: 'P-256' } as const;
const SIGNING = { name: 'ECDSA', hash: 'SHA-256' } as const;

const DAY = 86_400_000;
const ROOT_LIFE_MS = 3_650 * DAY;
const ISSUER_LIFE_MS = 365 * DAY;
/** How long a leaf lasts, and how long before now it begins, for clocks that run behind. */
export const LEAF_LIFE_MS = DAY;
const CLOCK_SKEW_MS = 60_000;

/** A certificate with the key that signs for it. */
export interface KeyedCertificate {
  readonly certificate: x509.X509Certificate;
  readonly privateKey: CryptoKey;
}

export const generateKeys = (): Promise<CryptoKeyPair> =>
  webcrypto.subtle.generateKey(P256, true, ['sign', 'verify']) as Promise<CryptoKeyPair>;

/** A self-signed trust anchor for `trustDomain`. */
export async function createRoot(trustDomain: string, now: Date): Promise<KeyedCertificate> {
  const keys = await generateKeys();
  const name = `CN=Sluice root of ${trustDomain}`;
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    name,
    keys,
    signingAlgorithm: SIGNING,
    ...validity(now, ROOT_LIFE_MS),
    extensions: await authorityExtensions(trustDomain, keys.publicKey, 1),
  });
  return { certificate, privateKey: keys.privateKey };
}

/** An issuer of leaves under `root`. */
export async function createIssuer(trustDomain: string, root: KeyedCertificate, now: Date): Promise<KeyedCertificate> {
  const keys = await generateKeys();
  const certificate = await x509.X509CertificateGenerator.create({
    subject: `CN=Sluice issuer of ${trustDomain}`,
    issuer: root.certificate.subjectName,
    publicKey: keys.publicKey,
    signingKey: root.privateKey,
    signingAlgorithm: SIGNING,
    ...validity(now, ISSUER_LIFE_MS, root.certificate.notAfter),
    extensions: [
      ...(await authorityExtensions(trustDomain, keys.publicKey, 0)),
      await x509.AuthorityKeyIdentifierExtension.create(root.certificate),
    ],
  });
  return { certificate, privateKey: keys.privateKey };
}

/** A leaf for `publicKey` that proves `identity`, for both ends of a connection, and stands for `hosts` besides. */
export async function createLeaf(
  identity: SpiffeId,
  publicKey: x509.PublicKeyType,
  issuer: KeyedCertificate,
  now: Date,
  hosts: readonly x509.JsonGeneralName[] = [],
): Promise<x509.X509Certificate> {
  return x509.X509CertificateGenerator.create({
    issuer: issuer.certificate.subjectName,
    publicKey,
    signingKey: issuer.privateKey,
    signingAlgorithm: SIGNING,
    ...validity(now, LEAF_LIFE_MS, issuer.certificate.notAfter),
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth, x509.ExtendedKeyUsage.clientAuth]),
      // The subject is empty, so this must be critical (RFC 5280 §4.2.1.6).
      new x509.SubjectAlternativeNameExtension([{ type: 'url', value: identity }, ...hosts], true),
      await x509.AuthorityKeyIdentifierExtension.create(issuer.certificate),
    ],
  });
}

/** The public key of a signing request, or why it will not do. */
export async function readSigningRequest(der: Uint8Array): Promise<x509.PublicKey | { readonly fault: string }> {
  let request: x509.Pkcs10CertificateRequest;
  try {
    request = new x509.Pkcs10CertificateRequest(Uint8Array.from(der));
  } catch {
    return { fault: 'the signing request is not PKCS#10 in DER' };
  }
  const { name, namedCurve } = request.publicKey.algorithm as EcKeyAlgorithm;
  if (name !== P256.name || namedCurve !== P256.namedCurve) {
    return { fault: 'the key of the signing request is not ECDSA P-256' };
  }
  // It is a rejection rather than an answer where the key is no point of the curve.
  const verified = await request.verify().catch(() => false);
  return verified ? request.publicKey : { fault: 'the signing request is not signed by its own key' };
}

/** The trust domain that an authority signs for, as its own SPIFFE id says (X509-SVID §4.1: no path). */
export const trustDomainOf = (authority: x509.X509Certificate): string | undefined =>
  /^spiffe:\/\/([^/]+)$/.exec(uriOf(new Uint8Array(authority.rawData)) ?? '')?.[1];

/** Who the control plane is. */
export const controlPlaneId = (trustDomain: string): SpiffeId =>
  spiffeId({ trustDomain, namespace: RESERVED_NAMESPACE, account: 'control-plane' });

const authorityExtensions = async (trustDomain: string, publicKey: CryptoKey, pathLength: number) => [
  new x509.BasicConstraintsExtension(true, pathLength, true),
  new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
  new x509.SubjectAlternativeNameExtension([{ type: 'url', value: `spiffe://${trustDomain}` }]),
  await x509.SubjectKeyIdentifierExtension.create(publicKey),
];

/** From a little before now for `lifeMs`, but not longer than the signer. */
function validity(now: Date, lifeMs: number, signerEnds?: Date): { notBefore: Date; notAfter: Date } {
  const end = new Date(now.getTime() + lifeMs);
  return {
    notBefore: new Date(now.getTime() - CLOCK_SKEW_MS),
    notAfter: signerEnds && signerEnds < end ? signerEnds : end,
  };
}
