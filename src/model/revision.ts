/** A committed change set: what somebody wished, by whom, when and why. Never overwritten. */
import type { Document, Ref } from './document.js';

export interface Change {
  readonly ref: Ref;
  /** What stood there before; absent when the change made it. */
  readonly before?: Document;
  /** What stands there now; absent when the change removed it. */
  readonly after?: Document;
  /** It was deleted by force, although these named it. */
  readonly forced?: readonly Ref[];
}

export interface Revision {
  /** Counts from 1. 0 is the empty mesh. */
  readonly number: number;
  /** The token's name, or `sluice` for what the server does by itself. */
  readonly author: string;
  readonly comment: string;
  /** ISO 8601, UTC, milliseconds. */
  readonly at: string;
  readonly changes: readonly Change[];
}

/** The author of what the server does by itself. */
export const SERVER = 'sluice';
