/** The aggregated stream, served to sidecars on their port. */
import { Module, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import * as grpc from '@grpc/grpc-js';
import { LOG, type Log } from '../log.js';
import { keyOf } from '../model/document.js';
import { SidecarPorts } from '../rpc/ports.js';
import { RpcModule } from '../rpc/rpc.module.js';
import { SERVER_SETTINGS, type Settings } from '../settings.js';
import { EnrolmentStore } from '../store/enrolment-store.js';
import { StoreModule } from '../store/store.module.js';
import { AdsService } from './ads.js';
import { EngineModule } from './engine.module.js';
import { Fleet } from './fleet.js';
import { GrpcRefusal } from './grpc.js';
import { Publisher } from './publisher.js';

@Module({
  imports: [EngineModule, RpcModule, StoreModule],
  providers: [
    {
      provide: AdsService,
      inject: [Publisher, Fleet, EnrolmentStore, SERVER_SETTINGS, LOG],
      useFactory: (publisher: Publisher, fleet: Fleet, enrolments: EnrolmentStore, settings: Settings, log: Log) =>
        new AdsService(publisher, fleet, gatekeeper(enrolments, settings.trustDomain), log),
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
    this.ports.xds.add(this.ads.definition, this.ads.handlers);
  }

  onApplicationShutdown(): void {
    this.ads.close();
  }
}

/** A stream is opened for the workload that its sidecar joined as, and for no other. */
const gatekeeper = (enrolments: EnrolmentStore, trustDomain: string) => ({
  trustDomain,
  admit: async (id: string, identity: string): Promise<void> => {
    const [namespace = '', name = ''] = id.split('/');
    const claims = await enrolments.find(namespace, name);
    // Written in one way only: by another, one sidecar would pass for several, and outlive its eviction.
    if (claims?.identity === identity && keyOf({ namespace, name }) === id) return;
    throw new GrpcRefusal(
      grpc.status.PERMISSION_DENIED,
      `${identity} does not speak for ${id}; it never joined as that one, or was evicted`,
    );
  },
});
