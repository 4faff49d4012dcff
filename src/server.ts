/** Starts and stops the server: its modules, whose last act is to open the ports of the sidecars, and then REST. */
import type { Server } from 'node:https';
import { NestFactory } from '@nestjs/core';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { LogController, type FastifyInstance } from 'fastify';
import { AppModule } from './app.module.js';
import { requireToken } from './api/authentication.js';
import { boundConnections } from './api/connections.js';
import { httpAdapter } from './api/http-adapter.js';
import { OpenRequests } from './api/open-requests.js';
import { serveOpenApi } from './api/openapi.js';
import { requestLog } from './api/request-log.js';
import { DataDirectory } from './data-directory.js';
import { ServerCertificate, type TlsMaterial } from './identity/server-certificate.js';
import { createLog, type Log } from './log.js';
import { Metrics } from './observe/metrics.js';
import { SidecarPorts } from './rpc/ports.js';
import type { ListenAddress, Settings } from './settings.js';
import { ApiTokenStore } from './store/api-token-store.js';

export interface RunningServer {
  /** `https://host:port` of the REST API. */
  readonly url: string;
  readonly xdsPort: number;
  readonly joinPort: number;
  readonly files: DataDirectory;
  close(): Promise<void>;
}

/** A port that cannot be had; the message says which and why, in one line. */
export class PortUnusable extends Error {
  override readonly name = 'PortUnusable';
}

/** How long the head of a request, and a whole one, may take to arrive, in milliseconds. */
const HEADERS_TIMEOUT_MS = 10_000;
const REQUEST_TIMEOUT_MS = 60_000;

export async function startServer(settings: Settings): Promise<RunningServer> {
  const app = await createApp(settings, createLog(settings.logLevel));
  try {
    await listening(app.init());
    await listening(app.listen(settings.apiListen.port, settings.apiListen.host));
  } catch (error) {
    await app.close();
    throw error;
  }
  const { xds, join } = app.get(SidecarPorts).bound;
  return {
    url: `https://${printAddress(settings.apiListen, (app.getHttpServer() as Server).address())}`,
    xdsPort: xds,
    joinPort: join,
    files: app.get(DataDirectory),
    close: () => app.close(),
  };
}

/** Every module is there, and none has begun. */
async function createApp(settings: Settings, log: Log): Promise<NestFastifyApplication> {
  const adapter = httpAdapter({
    // The certificate follows: what issues it is a module, and needs this adapter to be there before.
    https: { minVersion: 'TLSv1.3' },
    loggerInstance: log,
    logController: new LogController({ disableRequestLogging: true, requestIdLogLabel: 'request' }),
    requestTimeout: REQUEST_TIMEOUT_MS,
    forceCloseConnections: true,
  });
  const app = await NestFactory.create<NestFastifyApplication>(AppModule.with(settings, log), adapter, {
    logger: false,
    abortOnError: false,
    // Fastify's own: it reads JSON and nothing else.
    bodyParser: false,
  });
  const fastify: FastifyInstance = adapter.getInstance();
  const server = app.getHttpServer() as Server;
  server.headersTimeout = HEADERS_TIMEOUT_MS;
  const certificate = app.get(ServerCertificate);
  server.setSecureContext(tls(certificate.material));
  certificate.onRenewal((material) => server.setSecureContext(tls(material)));
  app.useSecurityHeaders({
    xFrameOptions: { action: 'deny' },
    contentSecurityPolicy: { directives: CONTENT_SECURITY_POLICY },
    strictTransportSecurity: false,
  });
  requestLog(fastify);
  app.get(Metrics).measure(fastify);
  const requests = app.get(OpenRequests);
  requests.watch(fastify);
  const connections = boundConnections(server);
  fastify.addHook('preClose', async () => connections.end());
  requireToken(fastify, app.get(ApiTokenStore), requests, (socket) => connections.proved(socket));
  serveOpenApi(app, settings.trustDomain);
  return app;
}

/** What Swagger UI needs, which is the one page there is; and in no frame of anybody else's. */
const CONTENT_SECURITY_POLICY = {
  'default-src': ["'self'"],
  'style-src': ["'self'", "'unsafe-inline'"],
  'img-src': ["'self'", 'data:'],
  'frame-ancestors': ["'none'"],
};

const tls = ({ key, cert }: TlsMaterial) => ({ key, cert, minVersion: 'TLSv1.3' as const });

/** Says of a failure to listen what a person needs to know. */
async function listening<Result>(attempt: Promise<Result>): Promise<Result> {
  try {
    return await attempt;
  } catch (cause) {
    const { message } = cause as Error;
    const address = /(?:listen|bind)\s+(?:EADDRINUSE|EACCES|EADDRNOTAVAIL)[^\d[]*([^\s,\]]+:\d+)/.exec(message)?.[1];
    const where = address === undefined ? '' : ` on ${address}`;
    if (/EADDRINUSE/.test(message)) {
      throw new PortUnusable(`cannot listen${where}: another process does already; stop it, or choose another port`, {
        cause,
      });
    }
    if (/EACCES/.test(message)) throw new PortUnusable(`cannot listen${where}: this user may not`, { cause });
    if (/EADDRNOTAVAIL|ENOTFOUND/.test(message)) {
      throw new PortUnusable(`cannot listen${where}: this machine has no such address`, { cause });
    }
    throw cause;
  }
}

/** Where the server is reached: at the port it was given, which may have been left to the system. */
function printAddress({ host }: ListenAddress, bound: ReturnType<Server['address']>): string {
  const port = typeof bound === 'object' && bound ? bound.port : 0;
  return `${host.includes(':') ? `[${host}]` : host}:${port}`;
}
