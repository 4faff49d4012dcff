/** The server: its foundation, and every feature with its doors. */
import { Module, type DynamicModule } from '@nestjs/common';
import { ApiModule } from './api/api.module.js';
import { DiscoveryModule } from './discovery/discovery.module.js';
import { FoundationModule } from './foundation.module.js';
import { IdentityModule } from './identity/identity.module.js';
import type { Log } from './log.js';
import { ObserveModule } from './observe/observe.module.js';
import { PolicyModule } from './policy/policy.module.js';
import type { Settings } from './settings.js';
import { TrafficModule } from './traffic/traffic.module.js';
import { WorkModule } from './work/work.module.js';

@Module({
  imports: [DiscoveryModule, TrafficModule, PolicyModule, IdentityModule, ObserveModule, ApiModule, WorkModule],
})
export class AppModule {
  static with(settings: Settings, log: Log): DynamicModule {
    return { module: AppModule, imports: [FoundationModule.on(settings, log)] };
  }
}
