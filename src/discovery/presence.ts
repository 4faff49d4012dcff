/** Draws the consequences of sidecars that go silent, are evicted, or never come back. */
import * as grpc from '@grpc/grpc-js';
import type { Draft } from '../model/document.js';
import { keyOf } from '../model/document.js';
import type { Mesh } from '../model/mesh.js';
import { SERVER } from '../model/revision.js';
import type { Workload } from '../model/workload.js';
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
    this.timers = [every(LEASE_CHECK_MS, () => this.endLeases()), every(SWEEP_MS, () => this.sweep())];
    this.stop = store.onCommit((event) => void this.evict(event).catch(onFailure));
  }

  close(): void {
    for (const timer of this.timers) clearInterval(timer);
    this.stop();
  }

  /** A workload whose sidecar is lost gets no more calls; its sidecar says otherwise when it is back. */
  async endLeases(): Promise<void> {
    const { mesh } = this.store.current;
    if (lostWorkloads(mesh, this.fleet.proxies(mesh)).length === 0) return;
    const wish = (now: { readonly mesh: Mesh }) => ({
      put: lostWorkloads(now.mesh, this.fleet.proxies(now.mesh)).map(asUnhealthy),
    });
    await this.store.commit(wish, { author: SERVER, comment: 'their sidecars have gone silent' });
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
      if (by.author === (before as Workload).spec.identity) continue;
      await this.enrolments.evict(ref.namespace, ref.name);
      this.ads.end(
        keyOf(ref),
        new GrpcRefusal(grpc.status.PERMISSION_DENIED, `workload ${keyOf(ref)} was evicted; join again`),
      );
    }
  }
}

const lostWorkloads = (mesh: Mesh, fleet: readonly Proxy[]): Workload[] =>
  fleet
    .filter(({ state }) => state === 'lost')
    .flatMap(({ id }) => mesh.Workload.get(id) ?? [])
    .filter(({ spec }) => spec.health !== 'Unhealthy');

const asUnhealthy = ({ kind, metadata, spec }: Workload): Draft => ({
  kind,
  ...metadata,
  spec: { ...spec, health: 'Unhealthy' },
});
