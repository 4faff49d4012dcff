/** Whether a caller may still do what a sidecar may: by its enrolment and by nothing else. */
import type { SpiffeId } from '../model/names.js';
import { callerOf, type Peer } from './peer.js';
import { GrpcRefusal, STATUS } from './refusal.js';

/** As much of an enrolment as this needs to know. */
interface Enrolled {
  readonly identity: SpiffeId;
  /** Present: it has come to its end. */
  readonly ended?: string;
}

/**
 * The enrolment of a caller. A certificate is that of one sidecar: another one of the same identity is somebody else.
 * Throws PERMISSION_DENIED.
 */
export function authorised<E extends Enrolled>(
  enrolments: { get(id: string): E | undefined },
  peer: Peer,
): E & { readonly ended?: never } {
  const { enrolment: id, identity } = callerOf(peer);
  const enrolment = enrolments.get(id);
  if (enrolment && enrolment.ended === undefined && enrolment.identity === identity) {
    return enrolment as E & { readonly ended?: never };
  }
  throw over(id, enrolment?.ended);
}

/** What a sidecar is told whose enrolment is over. */
export const over = (id: string, how?: string): GrpcRefusal =>
  new GrpcRefusal(
    STATUS.permissionDenied,
    `enrolment ${id} is over${how === undefined ? '' : ` (${how})`}; join again with a new token`,
  );
