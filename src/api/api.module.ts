/** What all REST doors share, and the operations that belong to the server itself. */
import { Global, Module } from '@nestjs/common';
import { APP_FILTER, APP_GUARD, APP_INTERCEPTOR } from '@nestjs/core';
import { StoreModule } from '../store/store.module.js';
import { EngineModule } from '../stream/engine.module.js';
import { Documents } from './documents.js';
import { AuthorisationGuard } from './guards/authorisation.guard.js';
import { PathGuard } from './guards/path.guard.js';
import { HealthController } from './health.controller.js';
import { ProblemFilter } from './filters/problem.filter.js';
import { TokenEndInterceptor } from './interceptors/token-end.interceptor.js';
import { TokensController } from './tokens.controller.js';

/** Global, and with it what operations are about: a feature names only what it needs besides. */
@Global()
@Module({
  imports: [EngineModule, StoreModule],
  controllers: [TokensController, HealthController],
  providers: [
    Documents,
    { provide: APP_GUARD, useClass: AuthorisationGuard },
    { provide: APP_GUARD, useClass: PathGuard },
    { provide: APP_INTERCEPTOR, useClass: TokenEndInterceptor },
    { provide: APP_FILTER, useClass: ProblemFilter },
  ],
  exports: [Documents, EngineModule, StoreModule],
})
export class ApiModule {}
