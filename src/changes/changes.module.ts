/** The way to change what people wish, and what a mesh begins with. */
import { Module } from '@nestjs/common';
import { INITIAL_SETTINGS, MESH_SETTINGS_NAME } from '../model/mesh-settings.js';
import { SERVER } from '../model/revision.js';
import { SqlRevisionLog } from '../store/revision-log.js';
import { StoreModule } from '../store/store.module.js';
import { Worlds } from '../world/fold.js';
import { WorldModule } from '../world/world.module.js';
import { Changes } from './changes.js';

@Module({
  imports: [StoreModule, WorldModule],
  providers: [{ provide: Changes, inject: [SqlRevisionLog, Worlds], useFactory: begun }],
  exports: [Changes],
})
export class ChangesModule {}

/** A new mesh begins with settings that everybody can read. */
async function begun(log: SqlRevisionLog, worlds: Worlds): Promise<Changes> {
  const changes = new Changes(log, worlds);
  if (log.head > 0) return changes;
  const ref = { kind: 'MeshSettings', namespace: '', name: MESH_SETTINGS_NAME } as const;
  const settings = { ...ref, labels: {}, annotations: {}, origin: 'rest', spec: INITIAL_SETTINGS } as const;
  await changes.commit({ author: SERVER, comment: 'first start' }, { put: [settings] });
  return changes;
}
