/** Work that nobody asks for and nobody waits for. */
import { Module, type OnApplicationShutdown } from '@nestjs/common';
import { LOG, type Log } from '../log.js';
import { earliestNow } from '../model/steady-time.js';
import { SERVER_SETTINGS, type Settings } from '../settings.js';
import { Database } from '../store/database.js';
import { SqlRevisionLog } from '../store/revision-log.js';
import { StoreModule } from '../store/store.module.js';
import { ProcessLeases } from './lease.js';
import { Retention } from './retention.js';

@Module({
  imports: [StoreModule],
  providers: [
    {
      provide: Retention,
      inject: [SqlRevisionLog, Database, SERVER_SETTINGS, LOG],
      useFactory: (revisions: SqlRevisionLog, database: Database, { historyKeep }: Settings, log: Log) =>
        new Retention({
          ...{ log: revisions, database, keep: historyKeep, now: earliestNow },
          leases: new ProcessLeases().as('this server'),
          onFailure: (err) => log.error({ err }, 'the history could not be cut to what is to be kept'),
        }),
    },
  ],
})
export class WorkModule implements OnApplicationShutdown {
  constructor(private readonly retention: Retention) {}

  async onApplicationShutdown(): Promise<void> {
    await this.retention.close();
  }
}
