/** Identity: who sidecars are, and how they come to be able to prove it. */
import { Module, type OnModuleInit } from '@nestjs/common';
import { LOG, type Log } from '../log.js';
import { SidecarPorts } from '../rpc/ports.js';
import { RpcModule } from '../rpc/rpc.module.js';
import { EnrolmentStore } from '../store/enrolment-store.js';
import { StoreModule } from '../store/store.module.js';
import { Authority } from './authority.js';
import { AuthorityModule } from './authority.module.js';
import { Enrolment } from './enrolment.js';
import { JoinTokensController } from './join-tokens.controller.js';

@Module({
  imports: [AuthorityModule, RpcModule, StoreModule],
  controllers: [JoinTokensController],
  providers: [
    {
      provide: Enrolment,
      inject: [Authority, EnrolmentStore, LOG],
      useFactory: (authority: Authority, enrolments: EnrolmentStore, log: Log) =>
        new Enrolment(authority, enrolments, log),
    },
  ],
})
export class IdentityModule implements OnModuleInit {
  constructor(
    private readonly enrolment: Enrolment,
    private readonly ports: SidecarPorts,
  ) {}

  onModuleInit(): void {
    this.ports.join.add(...this.enrolment.joining);
    this.ports.xds.add(...this.enrolment.renewing);
  }
}
