/** Draws the consequences of sidecars that go silent, are evicted, or never come back. */
import { keyOf } from '../model/document.js';
import type { Health } from '../model/workload.js';
import { over } from '../rpc/authorised.js';
import { wordsFor } from '../store/enrolment.js';
import type { EnrolmentStore } from '../store/enrolment-store.js';
import type { Registry } from '../store/registry.js';
import type { Fleet } from '../status/fleet.js';
import type { AdsService } from '../stream/ads.js';
import type { Leases } from '../work/lease.js';
import { Loop, type Reconciler } from '../work/reconciler.js';
import type { Worlds } from '../world/fold.js';
import { expire, type Expiry, type Standing } from './expiry.js';
import { reconcileMembership, type Membership, type MembershipWish } from './membership.js';

/** How often is looked whether all is as it should be, and how often is written who was there, in milliseconds. */
const LOOK_MS = 1_000;
const SIGHTS_MS = 600_000;

export interface PresenceOptions {
  readonly worlds: Pick<Worlds, 'current' | 'onStep'>;
  readonly registry: Registry;
  readonly enrolments: EnrolmentStore;
  readonly fleet: Fleet;
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
  private silent: Expiry = { changes: [], expired: [], spared: [] };

  constructor(private readonly options: PresenceOptions) {
    const { worlds, enrolments, leases, onFailure } = options;
    const loop = <World, Wish>(reconciler: Reconciler<World, Wish>) =>
      new Loop(reconciler, { everyMs: LOOK_MS, leases, onFailure });
    const membership = loop(this.membership);
    this.loops = [membership, loop(this.expiry)] as unknown as readonly Loop<never, never>[];
    this.sights = setInterval(() => void this.saveSights().catch(onFailure), SIGHTS_MS).unref();
    this.stops = [
      enrolments.onEvent(({ what }) => what === 'ended' && membership.nudge()),
      worlds.onStep(({ revisions }) => {
        if (revisions.some(({ changes }) => changes.some(({ after }) => !after))) membership.nudge();
      }),
    ];
    // What was left undone when the server ended last.
    membership.nudge();
  }

  /** Workloads whose sidecars are lost: those that get no calls for it, and those that were spared, as too many are. */
  get lost(): Pick<Expiry, 'expired' | 'spared'> {
    return this.silent;
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
      now: new Date().toISOString(),
    }),
    decide: reconcileMembership,
    act: async (wish) => {
      const { enrolments, ads, registry } = this.options;
      if (wish.do === 'end') await enrolments.end(wish.enrolment, wish.ending);
      else if (wish.do === 'hang-up') {
        const ending = enrolments.get(wish.enrolment)?.ended;
        ads.end(wish.enrolment, over(wish.enrolment, ending && wordsFor[ending]));
      } else {
        const place = placeOf(wish.workload);
        // Whoever has joined meanwhile will say itself where it is.
        if (enrolments.holding(place.namespace, place.name)) return;
        this.reported.delete(wish.workload);
        await registry.remove(place);
      }
    },
  };

  private readonly expiry: Reconciler<readonly Standing[], Expiry> = {
    name: 'expiry',
    look: () =>
      [...this.options.registry.all()].map((fact) => {
        const id = keyOf(fact);
        const reported = this.reported.get(id);
        return { id, health: fact.spec.health, ...(reported && { reported }), ...this.options.fleet.attendance(id) };
      }),
    decide: (standings) => [expire(standings)],
    act: async (expiry) => {
      this.tell(expiry);
      const { registry } = this.options;
      const changed = expiry.changes.flatMap(({ id, health }) => {
        // As it was last reported: what waits to be taken in must not be lost to this.
        const fact = registry.get(placeOf(id));
        return fact ? [{ ...fact, spec: { ...fact.spec, health } }] : [];
      });
      await Promise.all(changed.map((fact) => registry.put(fact)));
    },
  };

  /** Says who is lost when that becomes different, and not each time that it is still so. */
  private tell(expiry: Expiry): void {
    const before = this.silent;
    this.silent = expiry;
    const { log } = this.options;
    const gone = expiry.expired.filter((id) => !before.expired.includes(id));
    if (gone.length > 0)
      log.warn({ workloads: sample(gone) }, 'sidecars have gone silent; their workloads get no calls');
    if (expiry.spared.length > before.spared.length) {
      const [expired, spared] = [expiry.expired.length, expiry.spared.length];
      const message = 'too many sidecars are silent at once: the others keep the health that they had';
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
