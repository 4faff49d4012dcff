/** Which enrolments have come to be lost, or are not any more, beside what is written of them. Pure. */

/** An enrolment that has not ended. */
export interface Sight {
  readonly enrolment: string;
  /** Since when nothing was heard of it, if that is longer than its lease; ISO 8601. */
  readonly lostSince: string | undefined;
  /** The same as it is written down. */
  readonly written: string | undefined;
}

/** What is to be written: since when each is lost; undefined: it is not. */
export type Absences = ReadonlyMap<string, string | undefined>;

/** What differs from what is written; nothing when all is as it is written. When it was lost is written once. */
export function absencesOf(sights: Iterable<Sight>): Absences[] {
  const changed = new Map<string, string | undefined>();
  for (const { enrolment, lostSince, written } of sights) {
    if ((lostSince === undefined) !== (written === undefined)) changed.set(enrolment, lostSince);
  }
  return changed.size > 0 ? [changed] : [];
}
