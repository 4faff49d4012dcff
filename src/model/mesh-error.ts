/** A refusal that is the caller's to understand; the doors turn its code into a status. Anything else thrown is a bug. */
import type { Fault } from './fault.js';

/** What can be wrong with a request. Clients match on these: add codes, never rename one. */
export const MESH_ERROR_CODES = [
  'invalid',
  'unauthenticated',
  'not-found',
  'gone',
  'method-not-allowed',
  'conflict',
  'stale-revision',
  'precondition-failed',
  'too-large',
  'unsupported-media-type',
  'not-ready',
  'store-unavailable',
  'not-applied-in-time',
  'refused-by-proxy',
  'internal',
] as const;
export type MeshErrorCode = (typeof MESH_ERROR_CODES)[number];

export class MeshError extends Error {
  override readonly name = 'MeshError';

  constructor(
    readonly code: MeshErrorCode,
    message: string,
    readonly faults: readonly Fault[] = [],
    /** Members that the answer carries beside the usual ones, such as a receipt. */
    readonly extensions: Readonly<Record<string, unknown>> = {},
    options?: ErrorOptions,
  ) {
    super(message, options);
  }

  static invalid(faults: readonly Fault[]): MeshError {
    const [first] = faults;
    const more = faults.length > 1 ? ` (and ${faults.length - 1} more)` : '';
    return new MeshError('invalid', first ? `${first.detail}${more}` : 'the request is not valid', faults);
  }

  static notFound(what: string): MeshError {
    return new MeshError('not-found', `there is no ${what}`);
  }
}
