/** Which workloads get no calls because their sidecars have gone silent. Pure. */
import type { Health } from '../model/workload.js';

/** A workload that its sidecar has registered, and what is known of that. */
export interface Standing {
  readonly id: string;
  /** As the mesh has it. */
  readonly health: Health;
  /** As its sidecar last said; unknown after a restart, until it says so again. */
  readonly reported?: Health;
  readonly state: 'connected' | 'disconnected' | 'lost';
  /** When it came to be in that state, in milliseconds since the epoch. */
  readonly since: number;
}

export interface Expiry {
  readonly changes: readonly { readonly id: string; readonly health: Health }[];
  /** Lost, and without calls for it. */
  readonly expired: readonly string[];
  /** Lost, and called all the same: too many went silent at once to believe that all of them are gone. */
  readonly spared: readonly string[];
}

/** So many may stand expired at once in a mesh of any size, and such a part of it in a large one. */
const FEW = 2;
const PART = 0.25;

/**
 * A workload whose sidecar is lost gets no more calls, and gets them again when the sidecar is back. But silence of many
 * at once is rather the deafness of the control plane than their end, and must not become the outage of the mesh: beyond
 * a bounded share, the lost keep the health that they had. Those that have been silent for longest expire first.
 */
export function expire(standings: readonly Standing[]): Expiry {
  const most = Math.max(FEW, Math.floor(standings.length * PART));
  const lost = standings.filter(({ state }) => state === 'lost');
  const bySilence = [...lost].sort((a, b) => a.since - b.since || (a.id < b.id ? -1 : 1));
  const expired = bySilence.slice(0, most);
  const spared = bySilence.slice(most);
  const fallen = expired.filter(({ health }) => health !== 'Unhealthy').map(({ id }) => ({ id, health: UNHEALTHY }));
  // Those that are back, and those that were given up before so many more went silent.
  const risen = [...standings.filter(({ state }) => state === 'connected'), ...spared].flatMap(
    ({ id, health, reported }) =>
      health === UNHEALTHY && reported !== undefined && reported !== health ? [{ id, health: reported }] : [],
  );
  return { changes: [...fallen, ...risen], expired: idsOf(expired), spared: idsOf(spared) };
}

const UNHEALTHY: Health = 'Unhealthy';

const idsOf = (standings: readonly Standing[]): string[] => standings.map(({ id }) => id);
