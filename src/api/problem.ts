/** How a refusal looks over HTTP: one table from codes to statuses, and the problem document (RFC 9457). */
import { type MeshError, type MeshErrorCode } from '../model/mesh-error.js';
import type { Fault } from '../model/fault.js';

export const PROBLEM_CONTENT_TYPE = 'application/problem+json';

/** A Record, so that a new code cannot be forgotten. */
const STATUS: Record<MeshErrorCode, { readonly status: number; readonly title: string }> = {
  invalid: { status: 400, title: 'The request is not valid' },
  unauthenticated: { status: 401, title: 'No valid token was sent' },
  'not-found': { status: 404, title: 'There is nothing of that name' },
  'method-not-allowed': { status: 405, title: 'The path has no such method' },
  gone: { status: 410, title: 'It is not kept any more' },
  conflict: { status: 409, title: 'Something stands against it' },
  'precondition-failed': { status: 412, title: 'The object is not as it was said to be' },
  'stale-revision': { status: 409, title: 'The object was changed in the meantime' },
  'too-large': { status: 413, title: 'The body is too large' },
  'unsupported-media-type': { status: 415, title: 'The body is not plain JSON' },
  internal: { status: 500, title: 'The control plane failed' },
  'refused-by-proxy': { status: 502, title: 'Proxies refuse the change' },
  'not-ready': { status: 503, title: 'The control plane is not ready' },
  'store-unavailable': { status: 503, title: 'The change cannot be stored now' },
  'not-applied-in-time': { status: 504, title: 'Not every proxy serves the change yet' },
};

/** The HTTP status of a code, and the title that goes with it. */
export const statusOf = (code: MeshErrorCode) => STATUS[code];

export interface Problem {
  /** Stable: `urn:sluice:problem:` and a code. */
  readonly type: string;
  readonly title: string;
  readonly status: number;
  /** What is wrong this time, and what to do next. */
  readonly detail: string;
  /** The request, as the log names it. */
  readonly instance: string;
  readonly errors?: readonly Fault[];
  /** How many there are beside those in `errors`; absent when there are none. */
  readonly moreErrors?: number;
  readonly [extension: string]: unknown;
}

/** How many faults are told: nobody mends more at once, and an answer need not be longer than what it answers. */
const MAX_FAULTS = 100;

/** The problem document for a refusal. */
export function problemOf({ code, message, faults, extensions }: MeshError, requestId: string): Problem {
  return {
    type: `urn:sluice:problem:${code}`,
    ...STATUS[code],
    detail: message,
    instance: `urn:sluice:request:${requestId}`,
    ...(faults.length > 0 && { errors: faults.slice(0, MAX_FAULTS) }),
    ...(faults.length > MAX_FAULTS && { moreErrors: faults.length - MAX_FAULTS }),
    ...extensions,
  };
}
