/** A committed change set: what somebody wished, by whom, when and why. Never overwritten. */
import type { Document, Ref } from './document.js';
import { MeshError } from './mesh-error.js';

export interface Change {
  readonly ref: Ref;
  /** What stood there before; absent when the change made it. */
  readonly before?: Document;
  /** What stands there now; absent when the change removed it. */
  readonly after?: Document;
  /** It was deleted by force, although these named it; or changed by force, although these protect less by that. */
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

/** How much of the history is kept: what is beyond either bound goes. The newest revision never does. */
export interface HistoryKeep {
  /** Infinity: however many. */
  readonly revisions: number;
  /** Infinity: however old. */
  readonly ageMs: number;
}

/** What is said of a revision that was made and is not kept any more. */
export const notKept = (revision: number, oldest: number): MeshError =>
  new MeshError(
    'gone',
    `revision ${revision} is not kept any more, the oldest that is kept is ${oldest}; the server keeps as much of the history as its setting --history-keep (SLUICE_HISTORY_KEEP) says`,
    [],
    { oldest },
  );

/** The author of what the server does by itself. */
export const SERVER = 'sluice';
