/** Which proxies serve a revision: the proof that a change has arrived. Pure. */
import type { Proxy } from './proxy.js';

/** A proxy that does not serve the revision (yet), and why. */
export interface Laggard {
  readonly proxy: string;
  /** What it serves instead; absent when that is not known. */
  readonly serves?: number;
  readonly reason: 'pending' | 'refused' | 'disconnected';
  /** One sentence for people. */
  readonly detail: string;
}

export interface Receipt {
  readonly revision: number;
  /** How many proxies there are to be told; those that are lost are not counted. */
  readonly proxies: number;
  /** How many of them serve this revision or a newer one. */
  readonly serving: number;
  readonly laggards: readonly Laggard[];
}

/** How many proxies must serve a revision before a caller stops waiting. */
export type Target = { readonly percent: number } | { readonly proxies: number };

export function receiptOf(revision: number, fleet: readonly Proxy[]): Receipt {
  const counted = fleet.filter(({ state }) => state !== 'lost');
  const behind = counted.filter(({ serves }) => serves === undefined || serves < revision);
  return {
    revision,
    proxies: counted.length,
    serving: counted.length - behind.length,
    laggards: behind.map(laggard),
  };
}

function laggard({ id, serves, state, since, refusals: [refusal] }: Proxy): Laggard {
  const known = { proxy: id, ...(serves !== undefined && { serves }) };
  if (state === 'disconnected') {
    const detail = `it has had no stream since ${since} and goes on with what it last had`;
    return { ...known, reason: 'disconnected', detail };
  }
  if (refusal) return { ...known, reason: 'refused', detail: `it refused ${refusal.name}: ${refusal.reason}` };
  return { ...known, reason: 'pending', detail: 'it has not confirmed everything yet' };
}

/** How many proxies `target` comes to, of as many as the receipt counts. */
const needed = (target: Target, proxies: number): number =>
  'percent' in target ? Math.ceil((proxies * target.percent) / 100) : target.proxies;

export const isMet = (receipt: Receipt, target: Target): boolean => receipt.serving >= needed(target, receipt.proxies);

/** Says whether so many have refused the revision that waiting is of no use: they keep what they have until it changes. */
export function isHopeless(receipt: Receipt, target: Target): boolean {
  const refused = receipt.laggards.filter(({ reason }) => reason === 'refused').length;
  return refused > 0 && receipt.proxies - refused < needed(target, receipt.proxies);
}
