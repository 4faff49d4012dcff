/** How many workloads each policy protects, and how many of those have a sidecar that can enforce it. */
import type { AuthorizationPolicy } from '../model/authorization-policy.js';
import { keyOf } from '../model/document.js';

export interface Covered {
  /** Workloads with a sidecar. */
  readonly guarded: number;
  /** Workloads that can be called and have none. */
  readonly bare: number;
}

const NOBODY: Covered = { guarded: 0, bare: 0 };

/** A workload as far as policies have to do with it. */
export interface Protected {
  readonly guarded: boolean;
  readonly policies: readonly AuthorizationPolicy[];
}

export class Reach {
  private readonly covered = new Map<string, Covered>();
  private readonly workloads = new Map<string, Protected>();

  of(policy: string): Covered {
    return this.covered.get(policy) ?? NOBODY;
  }

  /** Notes what protects a workload now, if it can be called. Gives the policies (by their keys) of which another thing is to be said. */
  note(workload: string, now: Protected | undefined): string[] {
    const before = this.workloads.get(workload);
    if (now) this.workloads.set(workload, now);
    else this.workloads.delete(workload);
    return [...(before ? this.count(before, -1) : []), ...(now ? this.count(now, 1) : [])];
  }

  private count({ guarded, policies }: Protected, by: 1 | -1): string[] {
    return policies.flatMap(({ metadata }) => {
      const key = keyOf(metadata);
      const before = this.of(key);
      const after = {
        guarded: before.guarded + (guarded ? by : 0),
        bare: before.bare + (guarded ? 0 : by),
      };
      if (after.guarded + after.bare > 0) this.covered.set(key, after);
      else this.covered.delete(key);
      const same = before.guarded > 0 === after.guarded > 0 && before.bare > 0 === after.bare > 0;
      return same ? [] : key;
    });
  }
}
