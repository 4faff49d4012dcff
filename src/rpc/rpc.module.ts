/** The ports of the sidecars. Modules that serve something there add it when they begin; then the ports are opened. */
import { Inject, Module, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common';
import { AuthorityModule } from '../identity/authority.module.js';
import { ServerCertificate } from '../identity/server-certificate.js';
import { LOG, type Log } from '../log.js';
import { SERVER_SETTINGS, type Settings } from '../settings.js';
import { SidecarPorts } from './ports.js';

/** Over how long streams end when the server stops, in milliseconds: so that not all sidecars come back in one moment. */
const SPREAD_MS = 500;

@Module({
  imports: [AuthorityModule],
  providers: [
    {
      provide: SidecarPorts,
      inject: [ServerCertificate, SERVER_SETTINGS, LOG],
      useFactory: ({ material }: ServerCertificate, { joinListen, xdsListen, trustDomain }: Settings, log: Log) =>
        new SidecarPorts({
          material,
          trustDomain,
          addresses: { join: joinListen, xds: xdsListen },
          onFailure: (err) => log.error({ err }, 'a port of the sidecars failed'),
        }),
    },
  ],
  exports: [SidecarPorts],
})
export class RpcModule implements OnApplicationBootstrap, OnApplicationShutdown {
  constructor(
    private readonly ports: SidecarPorts,
    private readonly certificate: ServerCertificate,
    @Inject(SERVER_SETTINGS) private readonly settings: Settings,
  ) {}

  async onApplicationBootstrap(): Promise<void> {
    this.certificate.onRenewal((material) => this.ports.replaceCertificate(material));
    await this.ports.listen();
  }

  /** Whoever waited for proxies has had an answer by now: REST was drained before. */
  async onApplicationShutdown(): Promise<void> {
    await this.ports.drain(Math.min(SPREAD_MS, this.settings.drainTimeoutMs));
    this.ports.close();
  }
}
