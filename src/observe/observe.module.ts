/** What can be seen of the mesh: its history, and the proxies that obey it. */
import { Module } from '@nestjs/common';
import { ProxiesController } from './proxies.controller.js';
import { RevisionsController } from './revisions.controller.js';

@Module({ controllers: [RevisionsController, ProxiesController] })
export class ObserveModule {}
