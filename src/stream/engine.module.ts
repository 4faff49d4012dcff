/** From meshes to what proxies are told, and back to what they serve: compiles every commit, and keeps the receipts. */
import { Module, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import { LOG, type Log } from '../log.js';
import { SERVER_SETTINGS, type Settings } from '../settings.js';
import { MeshStore } from '../store/mesh-store.js';
import { StoreModule } from '../store/store.module.js';
import { Fleet } from './fleet.js';
import { Publisher } from './publisher.js';
import { Receipts } from './receipts.js';

@Module({
  imports: [StoreModule],
  providers: [
    {
      provide: Publisher,
      inject: [LOG],
      useFactory: (log: Log) =>
        new Publisher((err) => log.error({ err }, 'the mesh could not be compiled; proxies keep what they have')),
    },
    {
      provide: Fleet,
      inject: [SERVER_SETTINGS],
      useFactory: ({ proxyLeaseMs }: Settings) => new Fleet(proxyLeaseMs),
    },
    {
      provide: Receipts,
      inject: [Fleet, MeshStore],
      useFactory: (fleet: Fleet, store: MeshStore) => new Receipts(fleet, () => store.current.mesh),
    },
  ],
  exports: [Publisher, Fleet, Receipts],
})
export class EngineModule implements OnModuleInit, OnApplicationShutdown {
  constructor(
    private readonly store: MeshStore,
    private readonly publisher: Publisher,
  ) {}

  onModuleInit(): void {
    this.store.onCommit((now) => this.publisher.publish(now));
    this.publisher.publish(this.store.current);
  }

  onApplicationShutdown(): void {
    this.publisher.close();
  }
}
