/** Where objects of the mesh come from: one origin, what it has, and what becomes different there. */
import type { Document, Origin } from '../model/document.js';
import type { Change, Revision } from '../model/revision.js';

/** Something became different at a source. */
export interface SourceEvent {
  readonly changes: readonly Change[];
  /** The revision that did it, where the source is the log. */
  readonly revision?: Revision;
}

export interface Source {
  readonly origin: Origin;
  /** What there is at first. Read once. */
  readonly documents: Iterable<Document>;
  /** Calls `listener`, which must not throw, with everything that becomes different, in order. Returns what ends that. */
  onChange(listener: (event: SourceEvent) => void): () => void;
}
