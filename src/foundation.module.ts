/** What every module may ask for: the settings, the log, and the directory that everything is kept in. */
import { Global, Module, type DynamicModule } from '@nestjs/common';
import { DataDirectory } from './data-directory.js';
import { LOG, type Log } from './log.js';
import { SERVER_SETTINGS, type Settings } from './settings.js';

@Global()
@Module({})
export class FoundationModule {
  static on(settings: Settings, log: Log): DynamicModule {
    return {
      module: FoundationModule,
      providers: [
        { provide: SERVER_SETTINGS, useValue: settings },
        { provide: LOG, useValue: log },
        { provide: DataDirectory, useFactory: () => DataDirectory.open(settings.dataDir) },
      ],
      exports: [SERVER_SETTINGS, LOG, DataDirectory],
    };
  }
}
