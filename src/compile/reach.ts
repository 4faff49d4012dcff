/**
 * How many workloads each policy protects, how many have a sidecar that can enforce it, how many the ports of which it speaks,
 * and where it asks of requests and bytes pass.
 */
import type { AuthorizationPolicy } from '../model/authorization-policy.js';
import { keyOf } from '../model/document.js';
import { asksOfRequestsAnywhere } from './bytes-rules.js';
import { portsNamed } from './port-rules.js';

export interface Covered {
  /** Workloads with a sidecar. */
  guarded: number;
  /** Workloads that can be called and have none. */
  bare: number;
  /** By each port that it speaks of: workloads that have it. */
  readonly ports: Map<number, number>;
  /** If it asks of requests, by each port that carries bytes: workloads where that is so. */
  readonly bytes: Map<number, number>;
}

/** A workload as far as policies have to do with it. */
export interface Protected {
  readonly guarded: boolean;
  readonly policies: readonly AuthorizationPolicy[];
  readonly ports: readonly number[];
  /** Those of them that carry bytes. */
  readonly bytes: readonly number[];
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
  private isNews(policy: AuthorizationPolicy, { guarded, ports, bytes }: Protected, by: 1 | -1): boolean {
    const which = guarded ? 'guarded' : 'bare';
    const key = keyOf(policy.metadata);
    const covered = this.covered.get(key) ?? nobody();
    const before = covered[which];
    covered[which] += by;
    const isNews = before === 0 || covered[which] === 0;
    const named = portsNamed(policy);
    const news = [
      named.size > 0 && count(covered.ports, ports, by, (port) => named.has(port)),
      bytes.length > 0 && asksOfRequestsAnywhere(policy) && count(covered.bytes, bytes, by, () => true),
    ];
    if (covered.guarded + covered.bare > 0) this.covered.set(key, covered);
    else this.covered.delete(key);
    return isNews || news.includes(true);
  }
}

/** Counts `ports` that are asked about; says whether one has come, or gone. */
function count(counts: Map<number, number>, ports: readonly number[], by: 1 | -1, asked: (port: number) => boolean) {
  let isNews = false;
  for (const port of ports) {
    if (!asked(port)) continue;
    const now = (counts.get(port) ?? 0) + by;
    if (now > 0) counts.set(port, now);
    else counts.delete(port);
    isNews ||= now === 0 || (now === 1 && by === 1);
  }
  return isNews;
}

const nobody = (): Covered => ({ guarded: 0, bare: 0, ports: new Map(), bytes: new Map() });

/** Says whether the same is to be counted of both for each policy. */
const isAlike = (one: Protected | undefined, other: Protected | undefined): boolean =>
  one?.guarded === other?.guarded && areAlike(one?.ports, other?.ports) && areAlike(one?.bytes, other?.bytes);

const areAlike = (some: readonly number[] = [], others: readonly number[] = []): boolean =>
  some.length === others.length && some.every((port, at) => port === others[at]);
