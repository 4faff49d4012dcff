/** One end of the measurement: a port that pushes the same bytes to all its streams, on this server's rpc/ or on grpc-js. */
import { setTimeout as pause } from 'node:timers/promises';
import * as grpc from '@grpc/grpc-js';
import type * as limitsModule from '../../../src/rpc/limits.js';
import type * as portModule from '../../../src/rpc/port.js';

/** The server as it is built; its sources are not what Node runs by itself. */
const built = <Module>(path: string): Promise<Module> =>
  import(new URL(`../../../dist/${path}`, import.meta.url).href) as Promise<Module>;

export interface Material {
  readonly key: string;
  readonly cert: string;
  readonly ca: string;
}

/** What is measured here and told to whoever started this. */
export interface Told {
  readonly port?: number;
  readonly streams?: number;
  readonly residentKb?: number;
  readonly cpuPerPush?: number;
  readonly slowestMs?: number;
}

const PATH = '/bench.Bench/Watch';
const WARM_UP = 10;
const PUSHES = 40;

type Write = (message: Buffer) => void;

const writers: Write[] = [];
let answers = 0;
let whenAnswered: (() => void) | undefined;
const answered = (): void => {
  answers += 1;
  if (answers === writers.length) whenAnswered?.();
};

/** Hears a stream: its first word says that it is there, all others are answers. */
function joined(write: Write): () => void {
  let isThere = false;
  return () => {
    if (isThere) return answered();
    isThere = true;
    writers.push(write);
  };
}

/** Every answer is waited for: without one of the streams, that would be for ever. */
function lost(): void {
  process.stderr.write('a stream has ended\n');
  process.exit(1);
}

async function ours(material: Material): Promise<number> {
  const { memberLimits } = await built<typeof limitsModule>('rpc/limits.js');
  const { GrpcPort } = await built<typeof portModule>('rpc/port.js');
  const limits = { ...memberLimits(65_536), connectionsPerMember: 100_000 };
  const port = new GrpcPort({ material, limits, trustDomain: 'sluice.local', onFailure: console.error });
  port.add({
    path: PATH,
    decode: (bytes: Uint8Array) => bytes,
    open: (stream) => {
      stream.accept();
      return { message: joined((message) => void stream.write([message])), finished: () => stream.end(), closed: lost };
    },
  });
  return port.listen({ host: '127.0.0.1', port: 0 });
}

function grpcJs({ key, cert, ca }: Material): Promise<number> {
  const server = new grpc.Server({ 'grpc.max_concurrent_streams': 32 });
  const same = (bytes: Buffer): Buffer => bytes;
  const watch = { path: PATH, requestStream: true, responseStream: true } as const;
  const forms = {
    requestSerialize: same,
    requestDeserialize: same,
    responseSerialize: same,
    responseDeserialize: same,
  };
  server.addService(
    { watch: { ...watch, ...forms } },
    {
      watch: (call: grpc.ServerDuplexStream<Buffer, Buffer>) => {
        call.sendMetadata(new grpc.Metadata());
        call.on(
          'data',
          joined((message) => void call.write(message)),
        );
        call.on('error', () => undefined).on('close', lost);
      },
    },
  );
  const pair = { private_key: Buffer.from(key), cert_chain: Buffer.from(cert) };
  const credentials = grpc.ServerCredentials.createSsl(Buffer.from(ca), [pair], true);
  return new Promise((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', credentials, (error, port) => (error ? reject(error) : resolve(port))),
  );
}

const resident = (): number => {
  globalThis.gc?.();
  return process.memoryUsage.rss() / 1_024;
};

const pushed = (message: Buffer): Promise<void> =>
  new Promise((resolve) => {
    answers = 0;
    whenAnswered = resolve;
    for (const write of writers) write(message);
  });

async function measure(): Promise<Told> {
  const message = Buffer.alloc(3_000, 'x');
  for (let push = 0; push < WARM_UP; push += 1) await pushed(message);
  const before = process.cpuUsage();
  let slowestMs = 0;
  for (let push = 0; push < PUSHES; push += 1) {
    const began = performance.now();
    await pushed(message);
    slowestMs = Math.max(slowestMs, performance.now() - began);
  }
  const { user, system } = process.cpuUsage(before);
  return { cpuPerPush: (user + system) / PUSHES / writers.length, slowestMs };
}

const tell = (told: Told): void => void process.send?.(told);
let empty = 0;
interface Asked {
  readonly serve?: Material;
  readonly which?: string;
  /** So many streams. */
  readonly measure?: number;
}

async function obey({ serve, which, measure: asked }: Asked): Promise<void> {
  if (serve) {
    const port = await (which === 'grpc-js' ? grpcJs(serve) : ours(serve));
    empty = resident();
    tell({ port });
  }
  if (asked !== undefined) {
    while (writers.length < asked) await pause(10);
    const residentKb = (resident() - empty) / writers.length;
    tell({ streams: writers.length, residentKb, ...(await measure()) });
  }
}
process.on('message', (asked: Asked) => void obey(asked));
process.on('disconnect', () => process.exit(0));
