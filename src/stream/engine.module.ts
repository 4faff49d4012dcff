/** From meshes to what proxies are told, and back to what they serve: compiles every commit, and keeps the receipts. */
import { Module, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import { LOG, type Log } from '../log.js';
import { SERVER_SETTINGS, type Settings } from '../settings.js';
import type { World } from '../model/world.js';
import { Worlds } from '../world/fold.js';
import { WorldModule } from '../world/world.module.js';
import { Fleet } from './fleet.js';
import { Publisher } from './publisher.js';
import { Receipts } from './receipts.js';
import { Sequences } from './sequences.js';

@Module({
  imports: [WorldModule],
  providers: [
    Sequences,
    {
      provide: Publisher,
      inject: [LOG],
      useFactory: (log: Log) =>
        new Publisher((err) => log.error({ err }, 'the mesh could not be compiled; proxies keep what they have')),
    },
    {
      provide: Fleet,
      inject: [SERVER_SETTINGS, Sequences],
      useFactory: ({ proxyLeaseMs }: Settings, sequences: Sequences) => new Fleet(proxyLeaseMs, sequences),
    },
    {
      provide: Receipts,
      inject: [Fleet, Worlds],
      useFactory: (fleet: Fleet, worlds: Worlds) => new Receipts(fleet, () => worlds.current.mesh),
    },
  ],
  exports: [Publisher, Fleet, Receipts],
})
export class EngineModule implements OnModuleInit, OnApplicationShutdown {
  constructor(
    private readonly worlds: Worlds,
    private readonly publisher: Publisher,
    private readonly sequences: Sequences,
  ) {}

  onModuleInit(): void {
    this.worlds.onStep(({ world }) => this.publish(world));
    this.publish(this.worlds.current);
  }

  private publish(world: World): void {
    this.sequences.note(world);
    this.publisher.publish({ revision: world.sequence, mesh: world.mesh });
  }

  onApplicationShutdown(): void {
    this.publisher.close();
  }
}
