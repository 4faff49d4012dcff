/** Everything that is kept: opens the database and what stands in it, and writes what a mesh begins with. */
import { Module, type OnApplicationShutdown } from '@nestjs/common';
import { DataDirectory } from '../data-directory.js';
import { INITIAL_SETTINGS, MESH_SETTINGS_NAME } from '../model/mesh-settings.js';
import { SERVER } from '../model/revision.js';
import { SERVER_SETTINGS, type Settings } from '../settings.js';
import { ApiTokenStore } from './api-token-store.js';
import { Database } from './database.js';
import { EnrolmentStore } from './enrolment-store.js';
import { MeshStore } from './mesh-store.js';

@Module({
  providers: [
    {
      provide: Database,
      inject: [DataDirectory],
      useFactory: ({ database }: DataDirectory) => Database.open(database),
    },
    { provide: MeshStore, inject: [Database, SERVER_SETTINGS], useFactory: openMesh },
    { provide: ApiTokenStore, inject: [Database, DataDirectory], useFactory: openTokens },
    { provide: EnrolmentStore, inject: [Database], useFactory: (database: Database) => new EnrolmentStore(database) },
  ],
  exports: [Database, MeshStore, ApiTokenStore, EnrolmentStore],
})
export class StoreModule implements OnApplicationShutdown {
  constructor(private readonly database: Database) {}

  /** The last to go: whoever writes has been closed before. */
  onApplicationShutdown(): Promise<void> {
    return this.database.close();
  }
}

/** The mesh; a new one begins with settings that everybody can read. */
async function openMesh(database: Database, { trustDomain }: Settings): Promise<MeshStore> {
  const store = await MeshStore.open(database, trustDomain);
  if (store.current.revision > 0) return store;
  const ref = { kind: 'MeshSettings', namespace: '', name: MESH_SETTINGS_NAME } as const;
  const settings = { ...ref, labels: {}, annotations: {}, origin: 'rest', spec: INITIAL_SETTINGS } as const;
  await store.commit(() => ({ put: [settings] }), { author: SERVER, comment: 'first start' });
  return store;
}

/** The tokens; the first one is in a file that only its owner can read. */
async function openTokens(database: Database, directory: DataDirectory): Promise<ApiTokenStore> {
  const tokens = new ApiTokenStore(database);
  await tokens.createFirst('admin', (text) => directory.write(directory.adminToken, `${text}\n`, 0o600));
  return tokens;
}
