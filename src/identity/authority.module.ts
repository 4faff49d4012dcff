/** The authority of the mesh, and the certificate that the server itself shows. */
import { Module, type OnApplicationShutdown } from '@nestjs/common';
import { DataDirectory } from '../data-directory.js';
import { LOG, type Log } from '../log.js';
import { SERVER_SETTINGS, type Settings } from '../settings.js';
import { Memory } from '../store/memory.js';
import { StoreModule } from '../store/store.module.js';
import { Authority } from './authority.js';
import { ServerCertificate } from './server-certificate.js';

@Module({
  imports: [StoreModule],
  providers: [
    {
      provide: Authority,
      // The database first: with it comes the lock that keeps a second server out, which would make an authority of its own.
      inject: [DataDirectory, SERVER_SETTINGS, Memory],
      useFactory: async (directory: DataDirectory, { trustDomain }: Settings, memory: Memory) => {
        const known = await memory.recall('trust-anchor');
        const authority = await Authority.open(directory.authority, trustDomain, undefined, known);
        if (known === undefined) await memory.remember('trust-anchor', authority.fingerprint);
        directory.write(directory.trustAnchors, authority.anchorsPem, 0o644);
        return authority;
      },
    },
    {
      provide: ServerCertificate,
      inject: [Authority, SERVER_SETTINGS, LOG],
      useFactory: (authority: Authority, { serverNames }: Settings, log: Log) =>
        ServerCertificate.issue(authority, serverNames, (err) => log.error({ err }, 'the certificate was not renewed')),
    },
  ],
  exports: [Authority, ServerCertificate],
})
export class AuthorityModule implements OnApplicationShutdown {
  constructor(private readonly certificate: ServerCertificate) {}

  onApplicationShutdown(): void {
    this.certificate.close();
  }
}
