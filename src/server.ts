/** Starts and stops the server: the core first, then the ports of the sidecars, then REST. */
import type { Server } from 'node:https';
import { NestFactory } from '@nestjs/core';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { LogController, type FastifyInstance } from 'fastify';
import { pino, type Logger } from 'pino';
import { AppModule } from './app.module.js';
import { requireToken } from './api/authentication.js';
import { httpAdapter } from './api/http-adapter.js';
import { serveOpenApi } from './api/openapi.js';
import { ProblemFilter } from './api/problem.filter.js';
import { requestLog } from './api/request-log.js';
import { filesOf, openCore, type OpenCore } from './core.js';
import type { ListenAddress, Settings } from './settings.js';
import type { TlsMaterial } from './stream/grpc.js';

export interface RunningServer {
  /** `https://host:port` of the REST API. */
  readonly url: string;
  readonly xdsPort: number;
  readonly joinPort: number;
  readonly files: ReturnType<typeof filesOf>;
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
  const log = pino(
    { level: settings.logLevel, base: null, redact: ['req.headers.authorization'] },
    pino.destination(2),
  );
  const core = await openCore(settings, log);
  let app: NestFastifyApplication | undefined;
  try {
    app = await createApp(core, log);
    const { xds, join } = await listening(core.listen());
    await listening(app.listen(settings.apiListen.port, settings.apiListen.host));
    const running = app;
    return {
      url: `https://${printAddress(settings.apiListen, (running.getHttpServer() as Server).address())}`,
      xdsPort: xds,
      joinPort: join,
      files: filesOf(settings.dataDir),
      close: async () => {
        await running.close();
        await core.close();
      },
    };
  } catch (error) {
    await app?.close();
    await core.close();
    throw error;
  }
}

async function createApp(core: OpenCore, log: Logger): Promise<NestFastifyApplication> {
  const adapter = httpAdapter({
    https: tls(core.certificate.material),
    loggerInstance: log,
    logController: new LogController({ disableRequestLogging: true, requestIdLogLabel: 'request' }),
    requestTimeout: REQUEST_TIMEOUT_MS,
    forceCloseConnections: true,
  });
  const app = await NestFactory.create<NestFastifyApplication>(AppModule.around(core), adapter, {
    logger: false,
    abortOnError: false,
    // Fastify's own: it reads JSON and nothing else.
    bodyParser: false,
  });
  const fastify: FastifyInstance = adapter.getInstance();
  const server = app.getHttpServer() as Server;
  server.headersTimeout = HEADERS_TIMEOUT_MS;
  core.certificate.onRenewal((material) => server.setSecureContext(tls(material)));
  requestLog(fastify);
  requireToken(fastify, core.tokens);
  app.useGlobalFilters(new ProblemFilter());
  serveOpenApi(app);
  return app.init();
}

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
