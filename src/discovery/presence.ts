/** Draws the consequences of sidecars that go silent, are evicted, or never come back. */
import * as grpc from '@grpc/grpc-js';
import { keyOf } from '../model/document.js';
import type { Revision } from '../model/revision.js';
import type { Health } from '../model/workload.js';
import type { EnrolmentStore } from '../store/enrolment-store.js';
import type { Registry } from '../store/registry.js';
import type { AdsService } from '../stream/ads.js';
import type { Fleet } from '../stream/fleet.js';
import { GrpcRefusal } from '../stream/grpc.js';
import type { Proxy } from '../stream/proxy.js';
import type { Worlds } from '../world/fold.js';

/** How often leases are looked at, and how often sidecars that are long gone, in milliseconds. */
const LEASE_CHECK_MS = 1_000;
const SWEEP_MS = 600_000;
/** A sidecar unheard of for so long has no certificate any more: it would have to join again. */
const FORGET_AFTER_MS = 86_400_000;

export class Presence {
  /** What the sidecars last said of their workloads. */
  private readonly reported = new Map<string, Health>();
  private readonly timers: NodeJS.Timeout[];
  private readonly stop: () => void;

  constructor(
    private readonly worlds: Worlds,
    private readonly registry: Registry,
    private readonly enrolments: EnrolmentStore,
    private readonly fleet: Fleet,
    private readonly ads: AdsService,
    onFailure: (error: unknown) => void,
  ) {
    const every = (ms: number, work: () => Promise<void>) =>
      setInterval(() => void work().catch(onFailure), ms).unref();
    this.timers = [every(LEASE_CHECK_MS, () => this.lookAfterLeases()), every(SWEEP_MS, () => this.sweep())];
    this.stop = worlds.onStep(
      ({ revisions }) => void Promise.all(revisions.map((by) => this.evict(by))).catch(onFailure),
    );
  }

  close(): void {
    for (const timer of this.timers) clearInterval(timer);
    this.stop();
  }

  /** Notes what a sidecar says of its workload. Call it in the order in which reports take effect. */
  heard(id: string, health: Health): void {
    this.reported.set(id, health);
    this.fleet.heard(id);
  }

  /** A workload whose sidecar is lost gets no more calls, and gets them again when the sidecar is back. */
  async lookAfterLeases(): Promise<void> {
    await this.setHealth(lost);
    await this.setHealth((proxy, health) => this.regained(proxy, health));
  }

  /** A sidecar reports what changes, and may not have noticed that it was given up. */
  private regained({ id, state }: Proxy, health: Health): Health | undefined {
    return state === 'connected' && health === 'Unhealthy' ? this.reported.get(id) : undefined;
  }

  private async setHealth(healthOf: (proxy: Proxy, health: Health) => Health | undefined): Promise<void> {
    const changed = this.fleet.proxies(this.worlds.current.mesh).flatMap((proxy) => {
      const fact = this.registry.get(placeOf(proxy.id));
      const health = fact && healthOf(proxy, fact.spec.health);
      return health && health !== fact.spec.health ? [{ ...fact, spec: { ...fact.spec, health } }] : [];
    });
    await Promise.all(changed.map((fact) => this.registry.put(fact)));
  }

  /** Notes who is there, and forgets who has been away for longer than a certificate lasts. */
  async sweep(): Promise<void> {
    const { mesh } = this.worlds.current;
    for (const { id, state } of this.fleet.proxies(mesh)) {
      const { namespace, name } = placeOf(id);
      if (state === 'connected') await this.enrolments.seen(namespace, name);
    }
    const gone = await this.enrolments.forgetUnseen(FORGET_AFTER_MS);
    this.fleet.forgetTraces(mesh);
    await Promise.all(gone.map((claims) => this.registry.remove(claims)));
  }

  /** A workload that somebody removed is turned out: its sidecar must join again. */
  private async evict({ changes }: Revision): Promise<void> {
    for (const { ref, before, after } of changes) {
      if (after || before?.metadata.origin !== 'sidecar') continue;
      this.reported.delete(keyOf(ref));
      await this.enrolments.evict(ref.namespace, ref.name);
      this.ads.end(
        keyOf(ref),
        new GrpcRefusal(grpc.status.PERMISSION_DENIED, `workload ${keyOf(ref)} was evicted; join again`),
      );
    }
  }
}

const lost = ({ state }: Proxy): Health | undefined => (state === 'lost' ? 'Unhealthy' : undefined);

const placeOf = (id: string): { namespace: string; name: string } => {
  const [namespace = '', name = ''] = id.split('/');
  return { namespace, name };
};
