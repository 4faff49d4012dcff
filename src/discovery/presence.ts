/** Draws the consequences of sidecars that go silent, are evicted, or never come back. */
import { keyOf } from '../model/document.js';
import { earliestNow, steadyNow } from '../model/steady-time.js';
import type { Health } from '../model/workload.js';
import { over } from '../rpc/authorised.js';
import { wordsFor } from '../store/enrolment.js';
import type { EnrolmentStore } from '../store/enrolment-store.js';
import type { Registry } from '../store/registry.js';
import type { Fleet } from '../status/fleet.js';
import type { Silence } from '../status/silence.js';
import type { AdsService } from '../stream/ads.js';
import type { Leases } from '../work/lease.js';
import { Loop, type Reconciler } from '../work/reconciler.js';
import { Share } from '../work/share.js';
import type { Worlds } from '../world/fold.js';
import { absencesOf, type Absences, type Sight } from './absence.js';
import { Behind } from './behind.js';
import { EXPIRY_WINDOW_MS, expire, type Expiry, type Standing } from './expiry.js';
import { reconcileMembership, type Membership, type MembershipWish } from './membership.js';

/** How often is looked whether all is as it should be, and how often is written who was there, in milliseconds. */
const LOOK_MS = 1_000;
const SIGHTS_MS = 600_000;
/** How long after the end of its certificate a sidecar is forgotten, in milliseconds; and how many are within an hour. */
const FORGOTTEN_AFTER_MS = 7 * 86_400_000;
const HOUR_MS = 3_600_000;
const FORGOTTEN_FEW = 10;
const FORGOTTEN_PART = 0.05;

export interface PresenceOptions {
  readonly worlds: Pick<Worlds, 'current' | 'onStep'>;
  readonly registry: Registry;
  readonly enrolments: EnrolmentStore;
  readonly fleet: Fleet;
  readonly silence: Silence;
  readonly ads: AdsService;
  readonly leases: Leases;
  readonly log: { warn(fields: object, message: string): void; info(fields: object, message: string): void };
  readonly onFailure: (error: unknown) => void;
}

export class Presence {
  /** What the sidecars last said of their workloads. */
  private readonly reported = new Map<string, Health>();
  private readonly loops: readonly Loop<never, never>[];
  private readonly sights: NodeJS.Timeout;
  private readonly stops: readonly (() => void)[];
  private readonly startedAt = steadyNow();
  private readonly forgetting = new Share(FORGOTTEN_FEW, FORGOTTEN_PART, HOUR_MS);
  /** When calls were taken from workloads, as far as that still counts. */
  private readonly expiredAt = new Map<string, number>();
  private behind: Behind | undefined;
  private silent: Expiry = { changes: [], expired: [], spared: [] };

  constructor(private readonly options: PresenceOptions) {
    const { worlds, enrolments, leases, onFailure } = options;
    const loop = <World, Wish>(reconciler: Reconciler<World, Wish>) =>
      new Loop(reconciler, { everyMs: LOOK_MS, leases, onFailure });
    const membership = loop(this.membership);
    this.loops = [membership, loop(this.expiry), loop(this.absence)] as unknown as readonly Loop<never, never>[];
    this.sights = setInterval(() => void this.saveSights().catch(onFailure), SIGHTS_MS).unref();
    this.stops = [
      enrolments.onEvent((event) => {
        if (event.what !== 'ended') return;
        this.reported.delete(keyOf(event.enrolment));
        membership.nudge();
      }),
      worlds.onStep(({ revisions }) => {
        if (revisions.some(({ changes }) => changes.some(({ after }) => !after))) membership.nudge();
      }),
    ];
    // What was left undone when the server ended last.
    membership.nudge();
  }

  async close(): Promise<void> {
    clearInterval(this.sights);
    for (const stop of this.stops) stop();
    await Promise.all(this.loops.map((loop) => loop.close()));
  }

  /** Notes what a sidecar says of its workload. Call it in the order in which reports take effect. */
  heard(id: string, health: Health): void {
    this.reported.set(id, health);
    this.options.fleet.heard(id);
  }

  private readonly membership: Reconciler<Membership, MembershipWish> = {
    name: 'membership',
    look: () => ({
      enrolments: this.options.enrolments.all(),
      workloads: new Set([...this.options.registry.all()].map(keyOf)),
      streams: this.options.ads.streams(),
      forgetBefore: new Date(earliestNow() - FORGOTTEN_AFTER_MS).toISOString(),
      mayForget: this.mayForget(),
    }),
    decide: reconcileMembership,
    act: async (wish) => {
      const { enrolments, ads, registry } = this.options;
      if (wish.do === 'end') {
        if (wish.ending === 'forgotten') this.forgetting.take(steadyNow());
        await enrolments.end(wish.enrolment, wish.ending);
      } else if (wish.do === 'hang-up') {
        const ending = enrolments.get(wish.enrolment)?.ended;
        ads.end(wish.enrolment, over(wish.enrolment, ending && wordsFor[ending]));
      } else {
        const place = placeOf(wish.workload);
        // Whoever has joined meanwhile will say itself where it is.
        if (enrolments.holding(place.namespace, place.name)) return;
        await registry.remove(place);
      }
    },
  };

  /** A server that has just started does not know yet whether its clock will be put right. */
  private mayForget(): number {
    const now = steadyNow();
    if (now - this.startedAt < HOUR_MS) return 0;
    return this.forgetting.left([...this.options.enrolments.all()].length, now);
  }

  private readonly expiry: Reconciler<readonly Standing[], Expiry> = {
    name: 'expiry',
    look: () => this.standings(),
    decide: (standings) => [expire(standings)],
    act: async (expiry) => {
      this.tell(expiry);
      const { registry } = this.options;
      for (const { id, health } of expiry.changes) if (health === 'Unhealthy') this.expiredAt.set(id, steadyNow());
      const changed = expiry.changes.flatMap(({ id, health }) => {
        // As it was last reported: what waits to be taken in must not be lost to this.
        const fact = registry.get(placeOf(id));
        return fact ? [{ ...fact, spec: { ...fact.spec, health } }] : [];
      });
      await Promise.all(changed.map((fact) => registry.put(fact)));
    },
  };

  private readonly absence: Reconciler<Iterable<Sight>, Absences> = {
    name: 'absence',
    look: () => this.sightsOf(),
    decide: absencesOf,
    act: (absences) => this.options.enrolments.saveLost(absences),
  };

  private *sightsOf(): Generator<Sight> {
    const { enrolments, fleet } = this.options;
    for (const { id, ended, lostSince: written } of enrolments.all()) {
      if (ended) continue;
      const since = fleet.lostSince(id);
      yield { enrolment: id, lostSince: since === undefined ? undefined : new Date(since).toISOString(), written };
    }
  }

  private standings(): Standing[] {
    const { worlds, registry, fleet } = this.options;
    const now = steadyNow();
    for (const [id, at] of this.expiredAt) if (now - at >= EXPIRY_WINDOW_MS) this.expiredAt.delete(id);
    const standings = [...registry.all()].map((fact): Standing => {
      const id = keyOf(fact);
      const [reported, expiredAt] = [this.reported.get(id), this.expiredAt.get(id)];
      return {
        ...{ id, health: fact.spec.health, services: [] },
        ...(reported && { reported }),
        ...(expiredAt !== undefined && { expiredAt }),
        ...fleet.attendance(id),
      };
    });
    // While nobody is lost, nobody's calls are anybody else's.
    if (standings.every(({ state }) => state !== 'lost')) return standings;
    const { mesh } = worlds.current;
    if (this.behind?.services !== mesh.Service) this.behind = new Behind(mesh.Service);
    const { behind } = this;
    return standings.map((standing) => {
      const workload = mesh.Workload.get(standing.id);
      return workload ? { ...standing, services: behind.of(workload) } : standing;
    });
  }

  /** Says who is lost when that becomes different, and not each time that it is still so. */
  private tell(expiry: Expiry): void {
    const before = this.silent;
    this.silent = expiry;
    const { log, silence } = this.options;
    silence.tell(expiry);
    const gone = expiry.expired.filter((id) => !before.expired.includes(id));
    if (gone.length > 0)
      log.warn({ workloads: sample(gone) }, 'sidecars have gone silent; their workloads get no calls');
    if (expiry.spared.length > before.spared.length) {
      const [expired, spared] = [expiry.expired.length, expiry.spared.length];
      const message = 'so many sidecars are silent at once, or all of a service: these keep the health that they had';
      log.warn({ expired, spared, workloads: sample(expiry.spared) }, message);
    }
    if (expiry.spared.length === 0 && before.spared.length > 0) log.info({}, 'no more sidecars are silent than may be');
  }

  private async saveSights(): Promise<void> {
    const { enrolments, ads } = this.options;
    for (const enrolment of ads.streams()) enrolments.seen(enrolment);
    await enrolments.saveSights();
  }
}

/** As many names as a line of a log bears. */
const sample = (ids: readonly string[]): string[] => ids.slice(0, 10);

const placeOf = (id: string): { readonly namespace: string; readonly name: string } => {
  const [namespace = '', name = ''] = id.split('/');
  return { namespace, name };
};
