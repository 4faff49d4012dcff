/** The world: what people wish and what sidecars report, in one. */
import { Module } from '@nestjs/common';
import { SERVER_SETTINGS, type Settings } from '../settings.js';
import { Registry } from '../store/registry.js';
import { SqlRevisionLog } from '../store/revision-log.js';
import { StoreModule } from '../store/store.module.js';
import { Worlds } from './fold.js';
import type { Source } from './source.js';

@Module({
  imports: [StoreModule],
  providers: [{ provide: Worlds, inject: [SqlRevisionLog, Registry, SERVER_SETTINGS], useFactory: foldAll }],
  exports: [Worlds],
})
export class WorldModule {}

async function foldAll(log: SqlRevisionLog, registry: Registry, { trustDomain }: Settings): Promise<Worlds> {
  const wishes: Source = {
    origin: 'rest',
    documents: await log.documents(),
    onChange: (listener) => log.onChange(listener),
  };
  return new Worlds(trustDomain, [wishes, registry], log.head);
}
