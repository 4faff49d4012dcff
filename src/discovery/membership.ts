/** What has to follow from who is enrolled: which enrolments end, which workloads go, which streams are cut. Pure. */
import { keyOf } from '../model/document.js';
import type { Enrolment } from '../store/enrolment-store.js';

export interface Membership {
  readonly enrolments: Iterable<Enrolment>;
  /** The workloads that sidecars have registered, as `namespace/name`. */
  readonly workloads: ReadonlySet<string>;
  /** The enrolments that have a stream. */
  readonly streams: Iterable<string>;
  /** ISO 8601. */
  readonly now: string;
}

export type MembershipWish =
  | { readonly do: 'end'; readonly enrolment: string; readonly ending: 'evicted' | 'forgotten' }
  | { readonly do: 'remove'; readonly workload: string }
  | { readonly do: 'hang-up'; readonly enrolment: string };

export function reconcileMembership({ enrolments, workloads, streams, now }: Membership): MembershipWish[] {
  const wishes: MembershipWish[] = [];
  const spokenFor = new Set<string>();
  const lives = new Set<string>();
  for (const enrolment of enrolments) {
    const { id, ended, registeredAt, certificateEndsAt } = enrolment;
    if (ended) continue;
    const workload = keyOf(enrolment);
    if (certificateEndsAt < now) wishes.push({ do: 'end', enrolment: id, ending: 'forgotten' });
    // It had registered it, and did not leave: somebody else has taken it out, and meant the sidecar.
    else if (registeredAt !== undefined && !workloads.has(workload)) {
      wishes.push({ do: 'end', enrolment: id, ending: 'evicted' });
    } else {
      spokenFor.add(workload);
      lives.add(id);
    }
  }
  for (const workload of workloads) {
    if (!spokenFor.has(workload)) wishes.push({ do: 'remove', workload });
  }
  for (const enrolment of new Set(streams)) {
    if (!lives.has(enrolment)) wishes.push({ do: 'hang-up', enrolment });
  }
  return wishes;
}
