/** Who is at the other end of a connection, as its certificate says that was verified already. */
import { X509Certificate } from 'node:crypto';
import { parseSpiffeId, spiffeId, type SpiffeId } from '../model/names.js';
import { GrpcRefusal, STATUS } from './refusal.js';

/** The end of the DNS name by which a leaf says which enrolment it was issued for. Nobody ever looks it up. */
const ENROLMENT_SUFFIX = '.enrolment.sluice.internal';

/** A sidecar that has proven which one it is. */
export interface Member {
  readonly identity: SpiffeId;
  /** The id of its enrolment: one sidecar, however many have the same identity. */
  readonly enrolment: string;
  /** When its certificate ends, in milliseconds since the epoch. */
  readonly certificateEndsAt: number;
}

/** Who calls. */
export interface Peer {
  /** Its IP address. */
  readonly address: string;
  /** The same with its port, for the log. */
  readonly from: string;
  readonly member?: Member;
}

/** The DNS name that stands for an enrolment in a leaf. */
export const enrolmentName = (id: string): string => `${id}${ENROLMENT_SUFFIX}`;

/** The names of a certificate as `TYPE:value`. None at all if one of them is written in a way that could be misread. */
function namesOf(certificate: X509Certificate): readonly string[] {
  const names = certificate.subjectAltName?.split(', ') ?? [];
  // Node puts a value in quotes that could be taken for several; names of a mesh never need that.
  return names.every((name) => /^[A-Za-z ]+:[^",\s]+$/.test(name)) ? names : [];
}

const valuesOf = (names: readonly string[], type: string): readonly string[] =>
  names.filter((name) => name.startsWith(`${type}:`)).map((name) => name.slice(type.length + 1));

const onlyUri = (names: readonly string[]): string | undefined => {
  const uris = valuesOf(names, 'URI');
  return uris.length === 1 ? uris[0] : undefined;
};

const identityIn = (names: readonly string[], trustDomain: string): SpiffeId | undefined => {
  const parts = parseSpiffeId(onlyUri(names) ?? '');
  return parts?.trustDomain === trustDomain ? spiffeId(parts) : undefined;
};

/** The one URI among the names of a certificate; undefined when there is none, or more than one (X509-SVID §2). */
export const uriOf = (der: Uint8Array): string | undefined => onlyUri(namesOf(new X509Certificate(der)));

/** The identity that a certificate proves, if it is one of `trustDomain` and of the mesh's shape. */
export const identityOf = (der: Uint8Array, trustDomain: string): SpiffeId | undefined =>
  identityIn(namesOf(new X509Certificate(der)), trustDomain);

/** The sidecar that a certificate was issued to; undefined when it says no identity of `trustDomain` or no enrolment. */
export function memberOf(certificate: X509Certificate, trustDomain: string): Member | undefined {
  // Read once: every connection of a fleet that comes back pays for this.
  const names = namesOf(certificate);
  const identity = identityIn(names, trustDomain);
  const ids = valuesOf(names, 'DNS')
    .filter((name) => name.endsWith(ENROLMENT_SUFFIX))
    .map((name) => name.slice(0, -ENROLMENT_SUFFIX.length));
  const [enrolment = ''] = ids;
  if (!identity || ids.length !== 1 || !/^[0-9a-f]{16}$/.test(enrolment)) return undefined;
  return { identity, enrolment, certificateEndsAt: certificate.validToDate.getTime() };
}

/** The sidecar that calls. Throws PERMISSION_DENIED when the certificate says none of this mesh. */
export function callerOf({ member }: Peer): Member {
  if (member) return member;
  throw new GrpcRefusal(STATUS.permissionDenied, 'the certificate is that of no enrolment of this mesh; join again');
}
