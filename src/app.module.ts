/** The REST side of the server: every feature, around the parts of the core that they share. */
import { Global, Module, type DynamicModule, type Provider } from '@nestjs/common';
import { Documents } from './api/documents.js';
import { HealthController } from './api/health.controller.js';
import { TokensController } from './api/tokens.controller.js';
import { DiscoveryModule } from './discovery/discovery.module.js';
import { IdentityModule } from './identity/identity.module.js';
import { ObserveModule } from './observe/observe.module.js';
import { PolicyModule } from './policy/policy.module.js';
import { ApiTokenStore } from './store/api-token-store.js';
import { EnrolmentStore } from './store/enrolment-store.js';
import { MeshStore } from './store/mesh-store.js';
import { Fleet } from './stream/fleet.js';
import { Publisher } from './stream/publisher.js';
import { Receipts } from './stream/receipts.js';
import { TrafficModule } from './traffic/traffic.module.js';

/** What the controllers work with; it is open and running before they are. */
export interface Core {
  readonly store: MeshStore;
  readonly tokens: ApiTokenStore;
  readonly enrolments: EnrolmentStore;
  readonly publisher: Publisher;
  readonly fleet: Fleet;
  readonly receipts: Receipts;
}

@Global()
@Module({})
class CoreModule {
  static around({ store, tokens, enrolments, publisher, fleet, receipts }: Core): DynamicModule {
    const providers: Provider[] = [
      { provide: MeshStore, useValue: store },
      { provide: ApiTokenStore, useValue: tokens },
      { provide: EnrolmentStore, useValue: enrolments },
      { provide: Publisher, useValue: publisher },
      { provide: Fleet, useValue: fleet },
      { provide: Receipts, useValue: receipts },
      Documents,
    ];
    return { module: CoreModule, providers, exports: providers };
  }
}

@Module({})
export class AppModule {
  static around(core: Core): DynamicModule {
    return {
      module: AppModule,
      imports: [CoreModule.around(core), DiscoveryModule, TrafficModule, PolicyModule, IdentityModule, ObserveModule],
      controllers: [TokensController, HealthController],
    };
  }
}
