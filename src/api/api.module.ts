/** What all REST doors share, and the operations that belong to the server itself. */
import { Global, Inject, Module, type BeforeApplicationShutdown } from '@nestjs/common';
import { APP_FILTER, APP_GUARD, APP_INTERCEPTOR } from '@nestjs/core';
import { TerminusModule } from '@nestjs/terminus';
import { Changes } from '../changes/changes.js';
import { ChangesModule } from '../changes/changes.module.js';
import { Previews } from '../changes/preview.js';
import { RpcModule } from '../rpc/rpc.module.js';
import { SERVER_SETTINGS, type Settings } from '../settings.js';
import { StoreModule } from '../store/store.module.js';
import { Fleet } from '../status/fleet.js';
import { stageOf } from '../status/stage.js';
import { StatusModule } from '../status/status.module.js';
import { Engine } from '../stream/engine.js';
import { EngineModule } from '../stream/engine.module.js';
import { WorldModule } from '../world/world.module.js';
import { ChangeSetsController } from './change-sets.controller.js';
import { Documents } from './documents.js';
import { Doors } from './doors.js';
import { AuthorisationGuard } from './guards/authorisation.guard.js';
import { PathGuard } from './guards/path.guard.js';
import { HealthController } from './health.controller.js';
import { ProblemFilter } from './filters/problem.filter.js';
import { TokenEndInterceptor } from './interceptors/token-end.interceptor.js';
import { OpenRequests } from './open-requests.js';
import { Readiness } from './readiness.js';
import { TokensController } from './tokens.controller.js';

/** Global, and with it what operations are about: a feature names only what it needs besides. */
@Global()
@Module({
  imports: [
    ChangesModule,
    EngineModule,
    RpcModule,
    StatusModule,
    StoreModule,
    TerminusModule.forRoot({ logger: false }),
    WorldModule,
  ],
  controllers: [ChangeSetsController, TokensController, HealthController],
  providers: [
    Documents,
    Doors,
    OpenRequests,
    Readiness,
    {
      provide: Previews,
      inject: [Changes, Engine, Fleet],
      useFactory: (changes: Changes, engine: Engine, fleet: Fleet) => new Previews(changes, stageOf(engine, fleet)),
    },
    { provide: APP_GUARD, useClass: AuthorisationGuard },
    { provide: APP_GUARD, useClass: PathGuard },
    { provide: APP_INTERCEPTOR, useClass: TokenEndInterceptor },
    { provide: APP_FILTER, useClass: ProblemFilter },
  ],
  exports: [ChangesModule, Documents, Doors, EngineModule, Previews, StatusModule, StoreModule, WorldModule],
})
export class ApiModule implements BeforeApplicationShutdown {
  constructor(
    private readonly requests: OpenRequests,
    @Inject(SERVER_SETTINGS) private readonly settings: Settings,
  ) {}

  /** What was begun is answered while everything that it needs is still there. */
  async beforeApplicationShutdown(): Promise<void> {
    await this.requests.drain(this.settings.drainTimeoutMs);
  }
}
