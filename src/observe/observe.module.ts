/** What can be seen of the mesh: its history, and the proxies that obey it. */
import { Module } from '@nestjs/common';
import { Metrics } from './metrics.js';
import { MetricsController } from './metrics.controller.js';
import { ProxiesController } from './proxies.controller.js';
import { RevisionsController } from './revisions.controller.js';

@Module({ controllers: [RevisionsController, ProxiesController, MetricsController], providers: [Metrics] })
export class ObserveModule {}
