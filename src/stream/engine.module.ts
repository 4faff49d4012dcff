/** From worlds to what proxies are told: every state of the world is published. */
import { Module, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import { Compiler } from '../compile/compiler.js';
import { LOG, type Log } from '../log.js';
import { SERVER_SETTINGS, type Settings } from '../settings.js';
import { Worlds } from '../world/fold.js';
import { WorldModule } from '../world/world.module.js';
import { Engine } from './engine.js';

@Module({
  imports: [WorldModule],
  providers: [
    {
      provide: Engine,
      inject: [SERVER_SETTINGS, LOG],
      useFactory: ({ trustDomain }: Settings, log: Log) =>
        new Engine(new Compiler('sluice', trustDomain), (err) =>
          log.error({ err }, 'the mesh could not be compiled; proxies keep what they have'),
        ),
    },
  ],
  exports: [Engine],
})
export class EngineModule implements OnModuleInit, OnApplicationShutdown {
  constructor(
    private readonly worlds: Worlds,
    private readonly engine: Engine,
  ) {}

  onModuleInit(): void {
    this.worlds.onStep((step) => this.engine.publish(step));
    this.engine.start(this.worlds.current);
  }

  onApplicationShutdown(): void {
    this.engine.shutDown();
  }
}
