/** What became of each object: the fleet, the receipts, and the conditions that are read from them. */
import { Module, type OnApplicationShutdown } from '@nestjs/common';
import { keyOf } from '../model/document.js';
import { SERVER_SETTINGS, type Settings } from '../settings.js';
import { EnrolmentStore, type Enrolment } from '../store/enrolment-store.js';
import { SqlRevisionLog } from '../store/revision-log.js';
import { StoreModule } from '../store/store.module.js';
import { Engine } from '../stream/engine.js';
import { EngineModule } from '../stream/engine.module.js';
import { Worlds } from '../world/fold.js';
import { WorldModule } from '../world/world.module.js';
import { Fleet } from './fleet.js';
import { writtenBy } from './history.js';
import { Receipts } from './receipts.js';
import { isChangedBy } from './remnants.js';
import { Ring } from './ring.js';
import type { EnrolmentView, Enrolments } from './roster.js';
import { Silence } from './silence.js';
import { Status } from './status.js';

@Module({
  imports: [EngineModule, StoreModule, WorldModule],
  providers: [
    Silence,
    {
      provide: Ring,
      inject: [Engine, Fleet],
      useFactory: (engine: Engine, fleet: Fleet) => {
        const ring = new Ring(undefined, (changes, mesh, goneNow) =>
          fleet.remnants(
            (client) => client.remnants(goneNow),
            (remnant, owner) => isChangedBy(remnant, owner, changes, mesh),
          ),
        );
        engine.onPublished((published) => {
          ring.record(published);
          fleet.missed(published.gone, published.publication.sequence);
        });
        return ring;
      },
    },
    {
      provide: Fleet,
      inject: [EnrolmentStore, SERVER_SETTINGS],
      useFactory: (store: EnrolmentStore, { proxyLeaseMs }: Settings) => new Fleet(everybody(store), proxyLeaseMs),
    },
    {
      provide: Receipts,
      inject: [Engine, Ring, Fleet, SqlRevisionLog, Worlds],
      useFactory: (engine: Engine, ring: Ring, fleet: Fleet, log: SqlRevisionLog, worlds: Worlds) =>
        new Receipts(engine, ring, fleet, (revision) => writtenBy(revision, log, () => worlds.current.mesh)),
    },
    {
      provide: Status,
      inject: [Engine, Fleet, Receipts],
      useFactory: (engine: Engine, fleet: Fleet, receipts: Receipts) => new Status(engine, fleet, receipts),
    },
  ],
  exports: [Fleet, Receipts, Ring, Silence, Status],
})
export class StatusModule implements OnApplicationShutdown {
  constructor(
    private readonly fleet: Fleet,
    private readonly receipts: Receipts,
  ) {}

  onApplicationShutdown(): void {
    this.receipts.close();
    this.fleet.close();
  }
}

/** Everybody who has joined and did not leave, those who were turned out included while their certificates are good. */
function everybody(store: EnrolmentStore): Enrolments {
  const isOf = (now: number, { ended, certificateEndsAt }: Enrolment): boolean =>
    ended === undefined || (ended !== 'left' && Date.parse(certificateEndsAt) > now);
  const viewOf = (one: Enrolment | undefined): EnrolmentView | undefined =>
    one && {
      enrolment: one.id,
      id: keyOf(one),
      identity: one.identity,
      labels: one.labels,
      joinedAt: Date.parse(one.joinedAt),
      certificateEndsAt: Date.parse(one.certificateEndsAt),
      ...(one.lostSince !== undefined && { lostSince: Date.parse(one.lostSince) }),
      ...(one.endedAt !== undefined && { endedAt: Date.parse(one.endedAt) }),
    };
  return {
    list: () => {
      const now = Date.now();
      return [...store.all()].flatMap((one) => (isOf(now, one) ? (viewOf(one) ?? []) : []));
    },
    get: (id) => {
      const found = store.get(id);
      return found && isOf(Date.now(), found) ? viewOf(found) : undefined;
    },
    holding: (id) => {
      const [namespace = '', name = ''] = id.split('/');
      return viewOf(store.holding(namespace, name));
    },
    onChange: (listener) => store.onEvent(({ what }) => (what === 'joined' || what === 'ended') && listener()),
  };
}
