/** One thing that is wrong with what somebody sent, and where in it. */
export interface Fault {
  /** JSON pointer (RFC 6901) into the body, empty for the whole; absent when it is not in the body. */
  readonly pointer?: string;
  /** The query parameter that is at fault. */
  readonly parameter?: string;
  /** What is wrong and what would be right, in one sentence without a full stop. */
  readonly detail: string;
}

/** A JSON pointer from its reference tokens (RFC 6901 §3). */
export const pointer = (...path: readonly (string | number)[]): string =>
  path.map((token) => `/${String(token).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');
