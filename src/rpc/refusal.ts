/** The statuses of gRPC that are spoken here, and a refusal that carries one to whoever called. */

export const STATUS = {
  ok: 0,
  cancelled: 1,
  invalidArgument: 3,
  deadlineExceeded: 4,
  alreadyExists: 6,
  permissionDenied: 7,
  resourceExhausted: 8,
  failedPrecondition: 9,
  aborted: 10,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
} as const;

export type Status = (typeof STATUS)[keyof typeof STATUS];

/** Ends a call with a status; `details` is what its caller reads. */
export class GrpcRefusal extends Error {
  override readonly name = 'GrpcRefusal';

  constructor(
    readonly code: Status,
    readonly details: string,
  ) {
    super(details);
  }
}

/** What a caller is told of a failure that is ours: that it is, and where to look. */
export const FAILED = new GrpcRefusal(STATUS.internal, 'the control plane failed; its log says why');

/** The longest text that goes into a header. */
const MAX_DETAILS = 1_000;

/** The header fields that say how a call ended. */
export function statusHeaders(refusal: GrpcRefusal | undefined): Record<string, string> {
  if (!refusal) return { 'grpc-status': String(STATUS.ok) };
  return { 'grpc-status': String(refusal.code), 'grpc-message': escaped(refusal.details.slice(0, MAX_DETAILS)) };
}

/** Printable ASCII but for "%" goes as it is, everything else as the bytes of its UTF-8, `%E2` (gRPC over HTTP/2, "Responses"). */
const escaped = (text: string): string =>
  text.replaceAll(/[^ -$&-~]+/gu, (part) =>
    [...Buffer.from(part)].map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`).join(''),
  );
