/** Everything that is kept: opens the database and what stands in it. */
import { existsSync, statSync } from 'node:fs';
import { Module, type OnApplicationShutdown } from '@nestjs/common';
import { DataDirectory } from '../data-directory.js';
import { ApiTokenStore } from './api-token-store.js';
import { Database, DatabaseUnusable } from './database.js';
import { DirectoryLock } from './directory-lock.js';
import { EnrolmentStore } from './enrolment-store.js';
import { Memory } from './memory.js';
import { Registry } from './registry.js';
import { SqlRevisionLog } from './revision-log.js';

@Module({
  providers: [
    {
      provide: DirectoryLock,
      inject: [DataDirectory],
      useFactory: ({ path, lock }: DataDirectory) => DirectoryLock.take(path, lock),
    },
    {
      provide: Database,
      // The lock first: whatever is in the directory is this server's alone from then on.
      inject: [DataDirectory, DirectoryLock],
      useFactory: (directory: DataDirectory) => {
        refuseLost(directory);
        return Database.open(directory.database);
      },
    },
    { provide: SqlRevisionLog, inject: [Database], useFactory: (database: Database) => SqlRevisionLog.open(database) },
    {
      provide: Registry,
      inject: [Database, SqlRevisionLog],
      useFactory: (database: Database, log: SqlRevisionLog) => Registry.open(database, log),
    },
    { provide: ApiTokenStore, inject: [Database, DataDirectory], useFactory: openTokens },
    { provide: Memory, inject: [Database], useFactory: (database: Database) => new Memory(database) },
    {
      provide: EnrolmentStore,
      inject: [Database, SqlRevisionLog],
      useFactory: async (database: Database, log: SqlRevisionLog) => {
        const enrolments = await EnrolmentStore.open(database);
        enrolments.follow(log);
        return enrolments;
      },
    },
  ],
  exports: [Database, SqlRevisionLog, Registry, ApiTokenStore, EnrolmentStore, Memory],
})
export class StoreModule implements OnApplicationShutdown {
  constructor(
    private readonly database: Database,
    private readonly registry: Registry,
    private readonly lock: DirectoryLock,
  ) {}

  /** The last to go: whoever writes has been closed before. */
  async onApplicationShutdown(): Promise<void> {
    await this.registry.close();
    await this.database.close();
    this.lock.release();
  }
}

/**
 * A first start that was cut short is made again; the trust anchors are shown when all of it is done. Where they are and the database is
 * not, an empty mesh would open what was closed, to sidecars whose certificates are still good. Throws DatabaseUnusable.
 */
function refuseLost({ path, database, trustAnchors }: DataDirectory): void {
  if (!existsSync(trustAnchors) || (existsSync(database) && statSync(database).size > 0)) return;
  throw new DatabaseUnusable(
    `the mesh in ${path} has lost its database ${database}; put it back, or restore a backup into another data directory with "sluice server restore"`,
  );
}

/** The tokens; the first one is in a file that only its owner can read. */
async function openTokens(database: Database, directory: DataDirectory): Promise<ApiTokenStore> {
  const tokens = new ApiTokenStore(database);
  await tokens.createFirst('admin', (text) => directory.write(directory.adminToken, `${text}\n`, 0o600));
  return tokens;
}
