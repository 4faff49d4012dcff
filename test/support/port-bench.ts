/** A port of the sidecars by itself, on a loopback socket, and those who call it: a real gRPC client, and one that says what it likes. */
import { mkdtempSync, rmSync } from 'node:fs';
import { connect as connectHttp2, type ClientHttp2Session, type SecureClientSessionOptions } from 'node:http2';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as grpc from '@grpc/grpc-js';
import { Authority } from '../../src/identity/authority.js';
import { controlPlaneId } from '../../src/identity/certificates.js';
import { spiffeId } from '../../src/model/names.js';
import { joinLimits, type Limits } from '../../src/rpc/limits.js';
import { unary, type Stream, type StreamMethod } from '../../src/rpc/method.js';
import { enrolmentName } from '../../src/rpc/peer.js';
import { GrpcPort, type TlsMaterial } from '../../src/rpc/port.js';
import { GrpcRefusal, STATUS } from '../../src/rpc/refusal.js';
import type { Ticks } from '../../src/rpc/ticks.js';

export const TRUST_DOMAIN = 'sluice.local';

const LIMITS: Limits = joinLimits(10_000);
const text = {
  decode: (bytes: Uint8Array) => Buffer.from(bytes).toString(),
  encode: (value: string) => ({ finish: () => Buffer.from(value) }),
};

/** Says what it is told, unless that is "no" or "fail". */
const echo = unary(
  '/test.Test/Echo',
  text,
  text,
  async (said) => {
    if (said.startsWith('no')) throw new GrpcRefusal(STATUS.failedPrecondition, `“${said}” is 100 % refused`);
    if (said === 'fail') throw new Error('a secret');
    return said;
  },
  () => undefined,
);

export const ECHO = { ':method': 'POST', ':path': echo.path, 'content-type': 'application/grpc' };

/** A stream that says nothing by itself; the test has its other end. */
export interface Silent extends StreamMethod<string> {
  readonly stream: Promise<Stream>;
  /** Its client has said something. */
  readonly heard: Promise<void>;
  readonly closed: Promise<void>;
}

export function silent(): Silent {
  const stream = Promise.withResolvers<Stream>();
  const heard = Promise.withResolvers<void>();
  const closed = Promise.withResolvers<void>();
  return {
    path: '/test.Test/Silent',
    decode: text.decode,
    open: (call) => {
      call.accept();
      stream.resolve(call);
      return { message: () => heard.resolve(), finished: () => call.end(), closed: () => closed.resolve() };
    },
    stream: stream.promise,
    heard: heard.promise,
    closed: closed.promise,
  };
}

/** A clock that goes on when it is told to, a second at a time. */
export class HeldTicks implements Ticks {
  private time = 1_000;
  private wallTime = Date.now();
  private readonly looks = new Set<() => void>();

  elapsed = (): number => this.time;
  wall = (): number => this.wallTime;

  each(look: () => void): () => void {
    this.looks.add(look);
    return () => this.looks.delete(look);
  }

  pass(seconds: number): void {
    for (let second = 0; second < seconds; second += 1) {
      this.time += 1_000;
      this.wallTime += 1_000;
      for (const look of this.looks) look();
    }
  }

  /** The machine slept, or somebody set its clock: only the time of day has gone on. */
  setWall(time: number): void {
    this.wallTime = time;
    for (const look of this.looks) look();
  }
}

/** Ports and whoever calls them, under one authority; `clear` ends them all. */
export class PortBench {
  private readonly opened: { close(): void }[] = [];

  private constructor(
    private readonly directory: string,
    private readonly authority: Authority,
    readonly material: TlsMaterial,
  ) {}

  static async create(): Promise<PortBench> {
    const directory = mkdtempSync(join(tmpdir(), 'sluice-rpc-'));
    const authority = await Authority.open(directory, TRUST_DOMAIN);
    const names = [{ type: 'dns', value: 'localhost' } as const];
    const { keyPem, chainPem } = await authority.issueWithKey(controlPlaneId(TRUST_DOMAIN), names);
    return new PortBench(directory, authority, { key: keyPem, cert: chainPem, ca: authority.anchorsPem });
  }

  /** What a sidecar shows: a certificate of its own. */
  async member(enrolment = '0123456789abcdef') {
    const identity = spiffeId({ trustDomain: TRUST_DOMAIN, namespace: 'shop', account: 'web' });
    const names = [{ type: 'dns', value: enrolmentName(enrolment) } as const];
    const { keyPem, chainPem, notAfter } = await this.authority.issueWithKey(identity, names);
    return { key: keyPem, cert: chainPem, notAfter };
  }

  /** A port with the limits of one for joining, unless others are given, that serves `methods` beside an echo. */
  async serve(
    limits: Partial<Limits> = {},
    methods: readonly StreamMethod<unknown>[] = [],
    more: { readonly ticks?: Ticks; readonly trustDomain?: string } = {},
  ) {
    const { material } = this;
    const port = new GrpcPort({ material, limits: { ...LIMITS, ...limits }, onFailure: () => undefined, ...more });
    port.add(echo, ...methods);
    const number = await port.listen({ host: '127.0.0.1', port: 0 });
    this.later(port);
    return { port, number };
  }

  client(number: number): grpc.Client {
    const { ca } = this.material;
    const one = new grpc.Client(`127.0.0.1:${number}`, grpc.credentials.createSsl(Buffer.from(ca)), {
      'grpc.ssl_target_name_override': 'localhost',
      'grpc.use_local_subchannel_pool': 1,
    });
    this.later(one);
    return one;
  }

  session(number: number, more: SecureClientSessionOptions = {}): ClientHttp2Session {
    const { ca } = this.material;
    const one = connectHttp2(`https://127.0.0.1:${number}`, { ca, servername: 'localhost', ...more });
    one.on('error', () => undefined);
    this.later({ close: () => one.destroy() });
    return one;
  }

  /** Is closed by `clear`. */
  later(one: { close(): void }): void {
    this.opened.push(one);
  }

  clear(): void {
    for (const one of this.opened.splice(0).reverse()) one.close();
  }

  remove(): void {
    rmSync(this.directory, { recursive: true });
  }
}

/** What the echo answers. */
export const ask = (one: grpc.Client, said: string, path = echo.path): Promise<string> =>
  new Promise((resolve, reject) =>
    one.makeUnaryRequest(
      path,
      (value: string) => Buffer.from(value),
      (bytes) => bytes.toString(),
      said,
      (error, answer) => (error ? reject(error) : resolve(answer ?? '')),
    ),
  );

/** A stream of bytes both ways that has said one word, how it ended, and what came. */
export function stream(one: grpc.Client, path: string) {
  const call = one.makeBidiStreamRequest(
    path,
    (value: Buffer) => value,
    (bytes) => bytes,
  );
  call.write(Buffer.from('hello'));
  const said: Buffer[] = [];
  call.on('error', () => undefined).on('data', (message: Buffer) => said.push(message));
  const ended = new Promise<grpc.StatusObject>((resolve) => call.on('status', resolve));
  return { call, said, ended };
}

/** The status with which a request over HTTP/2 ends that says `body` and leaves the rest open. */
export const statusOf = (http2: ClientHttp2Session, headers: object, body?: Uint8Array): Promise<string | undefined> =>
  new Promise((resolve) => {
    const request = http2.request({ ...ECHO, ...headers });
    request.on('error', () => undefined);
    const tell = (fields: { 'grpc-status'?: unknown; ':status'?: unknown }): void => {
      const status = fields['grpc-status'] ?? (fields[':status'] === 200 ? undefined : fields[':status']);
      if (typeof status === 'string' || typeof status === 'number') resolve(String(status));
    };
    request
      .on('response', tell)
      .on('trailers', tell)
      .on('close', () => resolve(undefined));
    request.resume();
    if (body) request.write(body);
  });
