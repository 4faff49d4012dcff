/** How many workloads each policy protects, and how many of those have a sidecar that can enforce it. */
import type { AuthorizationPolicy } from '../model/authorization-policy.js';

export interface Covered {
  /** Workloads with a sidecar. */
  guarded: number;
  /** Workloads that can be called and have none. */
  bare: number;
}

/** A workload as far as policies have to do with it. */
export interface Protected {
  readonly guarded: boolean;
  readonly policies: readonly AuthorizationPolicy[];
}

export class Reach {
  private readonly covered = new Map<AuthorizationPolicy, Covered>();
  private readonly workloads = new Map<string, Protected>();

  of(policy: AuthorizationPolicy): Readonly<Covered> {
    return this.covered.get(policy) ?? { guarded: 0, bare: 0 };
  }

  /** Notes what protects a workload now, if it can be called. Gives the policies of which another thing is to be said. */
  note(workload: string, now: Protected | undefined): AuthorizationPolicy[] {
    const before = this.workloads.get(workload);
    if (now) this.workloads.set(workload, now);
    else this.workloads.delete(workload);
    if (before?.guarded === now?.guarded && before?.policies === now?.policies) return [];
    return [...this.count(before, now, -1), ...this.count(now, before, 1)];
  }

  /** Gives what puts back what is noted of a workload now. */
  keep(workload: string): () => void {
    const before = this.workloads.get(workload);
    return () => void this.note(workload, before);
  }

  /** Counts the policies of `one` that are not the other's as well. */
  private count(one: Protected | undefined, other: Protected | undefined, by: 1 | -1): AuthorizationPolicy[] {
    if (!one) return [];
    const shared = new Set(one.guarded === other?.guarded ? other.policies : []);
    return one.policies.filter(
      (policy) => !shared.has(policy) && this.isNews(policy, one.guarded ? 'guarded' : 'bare', by),
    );
  }

  /** Counts one workload; says whether there were none before, or are none now. */
  private isNews(policy: AuthorizationPolicy, which: keyof Covered, by: 1 | -1): boolean {
    const covered = this.covered.get(policy) ?? { guarded: 0, bare: 0 };
    const before = covered[which];
    covered[which] += by;
    if (covered.guarded + covered.bare > 0) this.covered.set(policy, covered);
    else this.covered.delete(policy);
    return before === 0 || covered[which] === 0;
  }
}
