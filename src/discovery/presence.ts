/** Draws the consequences of sidecars that go silent, are evicted, or never come back. */
import * as grpc from '@grpc/grpc-js';
import type { Draft } from '../model/document.js';
import { keyOf } from '../model/document.js';
import type { Mesh } from '../model/mesh.js';
import { SERVER } from '../model/revision.js';
import type { Health, Workload } from '../model/workload.js';
import type { EnrolmentStore } from '../store/enrolment-store.js';
import type { CommitEvent, MeshStore } from '../store/mesh-store.js';
import type { AdsService } from '../stream/ads.js';
import type { Fleet } from '../stream/fleet.js';
import { GrpcRefusal } from '../stream/grpc.js';
import type { Proxy } from '../stream/proxy.js';

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
    private readonly store: MeshStore,
    private readonly enrolments: EnrolmentStore,
    private readonly fleet: Fleet,
    private readonly ads: AdsService,
    onFailure: (error: unknown) => void,
  ) {
    const every = (ms: number, work: () => Promise<void>) =>
      setInterval(() => void work().catch(onFailure), ms).unref();
    this.timers = [every(LEASE_CHECK_MS, () => this.lookAfterLeases()), every(SWEEP_MS, () => this.sweep())];
    this.stop = store.onCommit((event) => void this.evict(event).catch(onFailure));
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
    await this.setHealth(lost, 'their sidecars have gone silent');
    await this.setHealth((proxy, { spec }) => this.regained(proxy, spec.health), 'their sidecars are back');
  }

  /** A sidecar reports what changes, and may not have noticed that it was given up. */
  private regained({ id, state }: Proxy, health: Health): Health | undefined {
    return state === 'connected' && health === 'Unhealthy' ? this.reported.get(id) : undefined;
  }

  private async setHealth(
    healthOf: (proxy: Proxy, workload: Workload) => Health | undefined,
    comment: string,
  ): Promise<void> {
    const changed = ({ mesh }: { readonly mesh: Mesh }): Draft[] =>
      this.fleet.proxies(mesh).flatMap((proxy) => {
        const workload = mesh.Workload.get(proxy.id);
        if (workload?.metadata.origin !== 'sidecar') return [];
        const health = healthOf(proxy, workload) ?? workload.spec.health;
        return health === workload.spec.health ? [] : withHealth(workload, health);
      });
    if (changed(this.store.current).length === 0) return;
    await this.store.commit((now) => ({ put: changed(now) }), { author: SERVER, comment });
  }

  /** Notes who is there, and forgets who has been away for longer than a certificate lasts. */
  async sweep(): Promise<void> {
    const { mesh } = this.store.current;
    for (const { id, state } of this.fleet.proxies(mesh)) {
      const [namespace = '', name = ''] = id.split('/');
      if (state === 'connected') await this.enrolments.seen(namespace, name);
    }
    const gone = await this.enrolments.forgetUnseen(FORGET_AFTER_MS);
    this.fleet.forgetTraces(mesh);
    const wish = (now: { readonly mesh: Mesh }) => ({
      remove: gone
        .map(({ namespace, name }) => ({ kind: 'Workload' as const, namespace, name }))
        .filter((ref) => now.mesh.Workload.get(keyOf(ref))?.metadata.origin === 'sidecar'),
    });
    await this.store.commit(wish, { author: SERVER, comment: 'their sidecars have not been heard of for a day' });
  }

  /** A workload that somebody else than its sidecar removed is turned out: its sidecar must join again. */
  private async evict({ by }: CommitEvent): Promise<void> {
    for (const { ref, before, after } of by.changes) {
      if (after || !before || before.metadata.origin !== 'sidecar' || before.kind !== 'Workload') continue;
      this.reported.delete(keyOf(ref));
      if (by.author === (before as Workload).spec.identity) continue;
      await this.enrolments.evict(ref.namespace, ref.name);
      this.ads.end(
        keyOf(ref),
        new GrpcRefusal(grpc.status.PERMISSION_DENIED, `workload ${keyOf(ref)} was evicted; join again`),
      );
    }
  }
}

const lost = ({ state }: Proxy): Health | undefined => (state === 'lost' ? 'Unhealthy' : undefined);

const withHealth = ({ kind, metadata, spec }: Workload, health: Health): Draft => ({
  kind,
  ...metadata,
  spec: { ...spec, health },
});
