/** Who has joined: the sidecars that there ought to be, as the fleet is told of them. */
import type { Labels, SpiffeId } from '../model/names.js';

/** A sidecar that has joined. */
export interface EnrolmentView {
  /** Names it among all that ever were. */
  readonly enrolment: string;
  /** `namespace/name` of its workload. */
  readonly id: string;
  readonly identity: SpiffeId;
  /** Those of its workload. */
  readonly labels: Labels;
  /** In milliseconds since the epoch. */
  readonly joinedAt: number;
  /** Since when nothing had been heard of it when this server began, if it was lost then; in milliseconds since the epoch. */
  readonly lostSince?: number;
  /** When it was turned out or replaced, in milliseconds since the epoch. Whoever is known to have ended itself is not listed any more. */
  readonly endedAt?: number;
  /** Until when it can show its certificate, in milliseconds since the epoch; one that has ended is not listed after that. */
  readonly certificateEndsAt: number;
}

export interface Enrolments {
  list(): Iterable<EnrolmentView>;
  get(enrolment: string): EnrolmentView | undefined;
  /** The one that speaks for a workload now. */
  holding(id: string): EnrolmentView | undefined;
  /** Calls `listener` when one has come, ended or gone. Returns what ends that. */
  onChange(listener: () => void): () => void;
}
