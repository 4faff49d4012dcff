/** The aggregated stream, served to sidecars on their port. */
import { Module, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import { LOG, type Log } from '../log.js';
import { keyOf } from '../model/document.js';
import { authorised } from '../rpc/authorised.js';
import type { Peer } from '../rpc/peer.js';
import { LimitedLog } from '../rpc/limited-log.js';
import { SidecarPorts } from '../rpc/ports.js';
import { GrpcRefusal, STATUS } from '../rpc/refusal.js';
import { RpcModule } from '../rpc/rpc.module.js';
import { EnrolmentStore } from '../store/enrolment-store.js';
import { StoreModule } from '../store/store.module.js';
import { Fleet } from '../status/fleet.js';
import { StatusModule } from '../status/status.module.js';
import { AdsService } from './ads.js';
import { EngineModule } from './engine.module.js';
import { Engine } from './engine.js';

@Module({
  imports: [EngineModule, RpcModule, StatusModule, StoreModule],
  providers: [
    {
      provide: AdsService,
      inject: [Engine, Fleet, EnrolmentStore, LOG],
      useFactory: (engine: Engine, fleet: Fleet, enrolments: EnrolmentStore, log: Log) =>
        new AdsService(engine, fleet, gatekeeper(enrolments), new LimitedLog(log)),
    },
  ],
  exports: [AdsService],
})
export class StreamModule implements OnModuleInit, OnApplicationShutdown {
  constructor(
    private readonly ads: AdsService,
    private readonly ports: SidecarPorts,
  ) {}

  onModuleInit(): void {
    this.ports.xds.add(this.ads.method);
  }

  onApplicationShutdown(): void {
    this.ads.close();
  }
}

/** A stream is opened for the workload that its sidecar joined as, and for no other. */
const gatekeeper = (enrolments: EnrolmentStore) => ({
  admit: (id: string, peer: Peer): void => {
    const enrolment = authorised(enrolments, peer);
    // Written in one way only: by another, one sidecar would pass for several.
    if (keyOf(enrolment) === id) return;
    const printed = id.slice(0, 200);
    throw new GrpcRefusal(
      STATUS.permissionDenied,
      `enrolment ${enrolment.id} speaks for ${keyOf(enrolment)}, and not for ${printed}`,
    );
  },
});
