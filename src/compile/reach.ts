/** How many workloads each policy protects, how many have a sidecar that can enforce it, and how many the ports of which it speaks. */
import type { AuthorizationPolicy } from '../model/authorization-policy.js';
import { keyOf } from '../model/document.js';
import { portsNamed } from './port-rules.js';

export interface Covered {
  /** Workloads with a sidecar. */
  guarded: number;
  /** Workloads that can be called and have none. */
  bare: number;
  /** By each port that it speaks of: workloads that have it. */
  readonly ports: Map<number, number>;
}

/** A workload as far as policies have to do with it. */
export interface Protected {
  readonly guarded: boolean;
  readonly policies: readonly AuthorizationPolicy[];
  readonly ports: readonly number[];
}

export class Reach {
  /** By the key of a policy. */
  private readonly covered = new Map<string, Covered>();
  private readonly workloads = new Map<string, Protected>();

  of(policy: AuthorizationPolicy): Readonly<Covered> {
    return this.covered.get(keyOf(policy.metadata)) ?? nobody();
  }

  /** Notes what protects a workload now, if it can be called. Gives the policies of which another thing is to be said. */
  note(workload: string, now: Protected | undefined): AuthorizationPolicy[] {
    const before = this.workloads.get(workload);
    if (now) this.workloads.set(workload, now);
    else this.workloads.delete(workload);
    if (isAlike(before, now) && before?.policies === now?.policies) return [];
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
    const shared = new Set(isAlike(one, other) ? other?.policies : []);
    return one.policies.filter((policy) => !shared.has(policy) && this.isNews(policy, one, by));
  }

  /** Counts one workload; says whether there were none before, or are none now. */
  private isNews(policy: AuthorizationPolicy, { guarded, ports }: Protected, by: 1 | -1): boolean {
    const which = guarded ? 'guarded' : 'bare';
    const key = keyOf(policy.metadata);
    const covered = this.covered.get(key) ?? nobody();
    const before = covered[which];
    covered[which] += by;
    let isNews = before === 0 || covered[which] === 0;
    const named = portsNamed(policy);
    for (const port of named.size > 0 ? ports : []) {
      if (!named.has(port)) continue;
      const count = (covered.ports.get(port) ?? 0) + by;
      if (count > 0) covered.ports.set(port, count);
      else covered.ports.delete(port);
      isNews ||= count === 0 || (count === 1 && by === 1);
    }
    if (covered.guarded + covered.bare > 0) this.covered.set(key, covered);
    else this.covered.delete(key);
    return isNews;
  }
}

const nobody = (): Covered => ({ guarded: 0, bare: 0, ports: new Map() });

/** Says whether the same is to be counted of both for each policy. */
const isAlike = (one: Protected | undefined, other: Protected | undefined): boolean =>
  one?.guarded === other?.guarded &&
  one?.ports.length === other?.ports.length &&
  (one?.ports.every((port, at) => port === other?.ports[at]) ?? true);
