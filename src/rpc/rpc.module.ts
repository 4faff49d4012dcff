/** The ports of the sidecars. Modules that serve something there add it when they begin; then the ports are opened. */
import { Module, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common';
import { AuthorityModule } from '../identity/authority.module.js';
import { ServerCertificate } from '../identity/server-certificate.js';
import { SERVER_SETTINGS, type Settings } from '../settings.js';
import { SidecarPorts } from './ports.js';

@Module({
  imports: [AuthorityModule],
  providers: [
    {
      provide: SidecarPorts,
      inject: [ServerCertificate, SERVER_SETTINGS],
      useFactory: ({ material }: ServerCertificate, { joinListen, xdsListen }: Settings) =>
        new SidecarPorts(material, { join: joinListen, xds: xdsListen }),
    },
  ],
  exports: [SidecarPorts],
})
export class RpcModule implements OnApplicationBootstrap, OnApplicationShutdown {
  constructor(
    private readonly ports: SidecarPorts,
    private readonly certificate: ServerCertificate,
  ) {}

  async onApplicationBootstrap(): Promise<void> {
    this.certificate.onRenewal((material) => this.ports.replaceCertificate(material));
    await this.ports.listen();
  }

  onApplicationShutdown(): void {
    this.ports.close();
  }
}
