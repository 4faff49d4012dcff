/** Identity: who sidecars are, and how they come to be able to prove it. */
import { Inject, Module, type OnModuleInit } from '@nestjs/common';
import { LOG, type Log } from '../log.js';
import { LimitedLog } from '../rpc/limited-log.js';
import { SidecarPorts } from '../rpc/ports.js';
import { RpcModule } from '../rpc/rpc.module.js';
import { EnrolmentStore } from '../store/enrolment-store.js';
import { StoreModule } from '../store/store.module.js';
import { AdsService } from '../stream/ads.js';
import { StreamModule } from '../stream/stream.module.js';
import { Authority } from './authority.js';
import { AuthorityModule } from './authority.module.js';
import { Enrolment } from './enrolment.js';
import { EnrolmentsController } from './enrolments.controller.js';
import { JoinTokensController } from './join-tokens.controller.js';
import { securityEvent } from './security-events.js';

@Module({
  imports: [AuthorityModule, RpcModule, StoreModule, StreamModule],
  controllers: [JoinTokensController, EnrolmentsController],
  providers: [
    {
      provide: Enrolment,
      inject: [Authority, EnrolmentStore, AdsService, LOG],
      useFactory: (authority: Authority, enrolments: EnrolmentStore, ads: AdsService, log: Log) =>
        new Enrolment(
          authority,
          enrolments,
          (id) => ads.isThere(id),
          new LimitedLog(log),
          (err) => log.error({ err }, 'a certificate could not be issued'),
        ),
    },
  ],
})
export class IdentityModule implements OnModuleInit {
  constructor(
    private readonly enrolment: Enrolment,
    private readonly enrolments: EnrolmentStore,
    private readonly ports: SidecarPorts,
    @Inject(LOG) private readonly log: Log,
  ) {}

  onModuleInit(): void {
    this.enrolments.onEvent((event) => this.log.info(...securityEvent(event)));
    this.ports.join.add(this.enrolment.joining);
    this.ports.xds.add(this.enrolment.renewing);
  }
}
