/** What has to follow from who is enrolled: which enrolments end, which workloads go, which streams are cut. Pure. */
import { keyOf } from '../model/document.js';
import type { Enrolment } from '../store/enrolment-store.js';

export interface Membership {
  readonly enrolments: Iterable<Enrolment>;
  /** The workloads that sidecars have registered, as `namespace/name`. */
  readonly workloads: ReadonlySet<string>;
  /** The enrolments that have a stream. */
  readonly streams: Iterable<string>;
  /** Enrolments whose certificates ended before that may be forgotten; ISO 8601. */
  readonly forgetBefore: string;
  /** How many of them at most. */
  readonly mayForget: number;
}

export type MembershipWish =
  | { readonly do: 'end'; readonly enrolment: string; readonly ending: 'evicted' | 'forgotten' }
  | { readonly do: 'remove'; readonly workload: string }
  | { readonly do: 'hang-up'; readonly enrolment: string };

/**
 * A certificate that has ended opens no port, so that nothing has to be done about it at once: to forget its sidecar only
 * tidies up. It cannot be taken back, and what it goes by is a clock that may be wrong: so it is done late, and to few at a time.
 */
export function reconcileMembership(membership: Membership): MembershipWish[] {
  const { enrolments, workloads, streams } = membership;
  const wishes: MembershipWish[] = [];
  const streaming = new Set(streams);
  const spokenFor = new Set<string>();
  const lives = new Set<string>();
  const past: Enrolment[] = [];
  for (const enrolment of enrolments) {
    const { id, ended, registeredAt, certificateEndsAt } = enrolment;
    if (ended) continue;
    const workload = keyOf(enrolment);
    // It had registered it, and did not leave: somebody else has taken it out, and meant the sidecar.
    if (registeredAt !== undefined && !workloads.has(workload)) {
      wishes.push({ do: 'end', enrolment: id, ending: 'evicted' });
      continue;
    }
    if (certificateEndsAt < membership.forgetBefore && !streaming.has(id)) past.push(enrolment);
    spokenFor.add(workload);
    lives.add(id);
  }
  const oldest = past.sort((a, b) => (a.certificateEndsAt < b.certificateEndsAt ? -1 : 1));
  for (const enrolment of oldest.slice(0, membership.mayForget)) {
    wishes.push({ do: 'end', enrolment: enrolment.id, ending: 'forgotten' });
    spokenFor.delete(keyOf(enrolment));
    lives.delete(enrolment.id);
  }
  for (const workload of workloads) {
    if (!spokenFor.has(workload)) wishes.push({ do: 'remove', workload });
  }
  for (const enrolment of streaming) {
    if (!lives.has(enrolment)) wishes.push({ do: 'hang-up', enrolment });
  }
  return wishes;
}
