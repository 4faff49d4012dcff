/** Which workloads get no calls because their sidecars have gone silent. Pure. */
import type { Health } from '../model/workload.js';

/** A workload that its sidecar has registered, and what is known of that. Times are of one clock, in milliseconds. */
export interface Standing {
  readonly id: string;
  /** As the mesh has it. */
  readonly health: Health;
  /** As its sidecar last said; unknown after a restart, until it says so again. */
  readonly reported?: Health;
  readonly state: 'connected' | 'disconnected' | 'lost';
  /** When it came to be in that state. */
  readonly since: number;
  /** The services that it stands behind. */
  readonly services: readonly string[];
  /** When calls were taken from it last, if that is not long ago. */
  readonly expiredAt?: number;
}

export interface Expiry {
  readonly changes: readonly { readonly id: string; readonly health: Health }[];
  /** Lost, and without calls for it. */
  readonly expired: readonly string[];
  /** Lost, and called all the same: their silence may as well be the deafness of the control plane. */
  readonly spared: readonly string[];
}

/** So many may expire within a while, and such a part of all that are called if that is more. */
interface Bound {
  readonly few: number;
  readonly part: number;
}
const OF_THE_MESH: Bound = { few: 2, part: 0.25 };
const OF_A_SERVICE: Bound = { few: 1, part: 0.5 };

/** How long that while is, in milliseconds. */
export const EXPIRY_WINDOW_MS = 600_000;

/** The workloads of one service, or of the whole mesh, as far as they count. */
interface Group {
  readonly bound: Bound;
  /** Those that are called, or were until a while ago. */
  called: number;
  /** How many have expired within the while. */
  recent: number;
  /** How many are heard of, and take calls. */
  heard: number;
  /** How many may come back any moment. */
  away: number;
}

/**
 * A workload whose sidecar is lost gets no more calls, and gets them again when the sidecar is back. But silence of many at
 * once is rather the deafness of the control plane than their end, and must not become the outage of the mesh or of a service:
 * within a while, only a share of those that are called expires, and nobody where nobody else is heard of who could take
 * their calls. Who has expired before does not count against those to come: it is the rate that is bounded. Those that have
 * been silent for longest expire first; the others are spared, and keep the health that they had.
 */
export function expire(standings: readonly Standing[]): Expiry {
  const groups = groupsOf(standings);
  const mesh = groups.get(MESH);
  const groupsOfOne = ({ services }: Standing): Group[] =>
    [mesh, ...services.map((service) => groups.get(service))].filter((group) => group !== undefined);
  const lost = standings.filter(({ state }) => state === 'lost');
  const [expired, spared]: [Standing[], Standing[]] = [[], []];
  for (const one of lost.sort((a, b) => a.since - b.since || (a.id < b.id ? -1 : 1))) {
    const its = groupsOfOne(one);
    if (one.health === UNHEALTHY) {
      // It was the first of many: calls were taken from it before it turned out that nobody is heard of any more.
      const wasCalled = one.expiredAt !== undefined && isCalled({ health: one.reported ?? 'Healthy' });
      const wasHasty = wasCalled && its.some(({ heard, away }) => heard + away === 0);
      (wasHasty ? spared : expired).push(one);
    } else if (!isCalled(one)) {
      // It was saying goodbye: nobody calls it, so that nothing is taken from anybody.
      expired.push(one);
    } else if (its.every(mayLoseOne)) {
      for (const group of its) group.recent += 1;
      expired.push(one);
    } else spared.push(one);
  }
  const fallen = expired.filter(({ health }) => health !== UNHEALTHY).map(({ id }) => ({ id, health: UNHEALTHY }));
  const risen = [...standings.filter(({ state }) => state === 'connected'), ...spared].flatMap(
    ({ id, health, reported }) =>
      health === UNHEALTHY && reported !== undefined && reported !== health ? [{ id, health: reported }] : [],
  );
  return { changes: [...fallen, ...risen], expired: idsOf(expired), spared: idsOf(spared) };
}

const mayLoseOne = ({ bound, called, recent, heard }: Group): boolean =>
  heard > 0 && recent < Math.max(bound.few, Math.floor(called * bound.part));

/** No service is called so. */
const MESH = '';

function groupsOf(standings: readonly Standing[]): Map<string, Group> {
  const groups = new Map<string, Group>();
  for (const { state, health, services, expiredAt } of standings) {
    const isRecent = expiredAt !== undefined;
    for (const name of [MESH, ...services]) {
      const bound = name === MESH ? OF_THE_MESH : OF_A_SERVICE;
      const group = groups.get(name) ?? { bound, called: 0, recent: 0, heard: 0, away: 0 };
      groups.set(name, group);
      if (isRecent || isCalled({ health })) group.called += 1;
      if (isRecent) group.recent += 1;
      if (state === 'connected' && (health === 'Healthy' || name === MESH)) group.heard += 1;
      if (state === 'disconnected') group.away += 1;
    }
  }
  return groups;
}

const UNHEALTHY: Health = 'Unhealthy';

/** Draining takes no new calls. */
const isCalled = ({ health }: Pick<Standing, 'health'>): boolean => health === 'Healthy';

const idsOf = (standings: readonly Standing[]): string[] => standings.map(({ id }) => id);
