/** One connection: its calls, whether somebody is still there, and when it has to end. */
import {
  constants,
  performServerHandshake,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import type { TLSSocket } from 'node:tls';
import { ByteBudget } from './budget.js';
import { Call, refuseRequest, type Surroundings } from './call.js';
import type { Limits } from './limits.js';
import type { StreamMethod } from './method.js';
import type { Peer } from './peer.js';
import { GrpcRefusal, STATUS } from './refusal.js';

/** A connection on which nothing has come for so many ticks is asked whether it lives, and so many later it does not. */
const SILENT_TICKS = 10;
const DEAD_TICKS = 20;
/** How long the answer to a question may take that somebody else waits for, in milliseconds. */
const PROBE_MS = 2_000;
/** How long what is said at the end may take to go out, in milliseconds. */
const FAREWELL_MS = 5_000;

export type Methods = ReadonlyMap<string, StreamMethod<unknown>>;

export interface ConnectionOptions {
  readonly peer: Peer;
  readonly limits: Limits;
  readonly methods: Methods;
  /** What all connections of the port may hold. */
  readonly budget: ByteBudget;
  readonly onFailure: (error: unknown) => void;
  /** A clock that only goes forward, in milliseconds. */
  readonly now: () => number;
}

export class Connection {
  private readonly session: ServerHttp2Session;
  private readonly calls = new Set<Call>();
  private readonly around: Surroundings;
  private readonly methods: Methods;
  private readonly endsAt: number;
  private idleSince: number;
  private retiredAt: number | undefined;
  private heard = 0;
  private probing: Promise<boolean> | undefined;
  private silentTicks = 0;

  constructor(
    private readonly socket: TLSSocket,
    { methods, budget, ...around }: ConnectionOptions,
  ) {
    const { limits } = around;
    const now = around.now();
    this.methods = methods;
    const probe = (): Promise<boolean> => this.probe();
    this.around = { ...around, budget: new ByteBudget(limits.connectionBytes, budget), probe };
    this.idleSince = now;
    this.endsAt = now + limits.ageMs * (1 - Math.random() / 10);
    this.session = performServerHandshake(socket, {
      settings: {
        enablePush: false,
        maxConcurrentStreams: limits.callsPerConnection,
        maxHeaderListSize: 16 * 1_024,
      },
      maxHeaderListPairs: 64,
      // In megabytes. It counts what the library itself holds for one connection.
      maxSessionMemory: 2,
    });
    this.session.on('error', () => undefined);
    this.session.on('stream', (http, headers) => this.open(http, headers));
  }

  private open(http: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
    // A client may not have heard yet of how many there may be, or that this connection is going away.
    if (this.retiredAt !== undefined || this.calls.size >= this.around.limits.callsPerConnection) {
      http.on('error', () => undefined);
      return http.close(constants.NGHTTP2_REFUSED_STREAM);
    }
    if (refuseRequest(http, headers, (path) => this.methods.has(path))) return;
    const method = this.methods.get(String(headers[':path']));
    if (!method) return;
    const call = new Call(http, method, headers, this.around);
    this.calls.add(call);
    http.once('close', () => {
      this.calls.delete(call);
      this.idleSince = this.around.now();
    });
  }

  /** Looks at what only time can tell. `wall` is the time of day: certificates go by that, even over a sleep of the machine. */
  tick(now: number, wall: number): void {
    if (this.retiredAt !== undefined) {
      if (now - this.retiredAt >= FAREWELL_MS) this.destroy();
      return;
    }
    for (const call of this.calls) call.tick(now);
    const { limits, peer } = this.around;
    if (peer.member && wall >= peer.member.certificateEndsAt) return this.retire(CERTIFICATE_ENDED, now);
    if (now >= this.endsAt) return this.retire(TOO_OLD, now);
    if (this.calls.size === 0 && now - this.idleSince >= limits.idleMs) return this.retire(TOO_OLD, now);
    this.listen();
  }

  /** Ticks are counted and not time: after a sleep of the machine, everybody has time again to be heard. */
  private listen(): void {
    const { bytesRead } = this.socket;
    this.silentTicks = bytesRead === this.heard ? this.silentTicks + 1 : 0;
    this.heard = bytesRead;
    if (this.silentTicks >= DEAD_TICKS) this.destroy();
    else if (this.silentTicks === SILENT_TICKS && !this.session.destroyed) this.session.ping(() => undefined);
  }

  /** Asks whether somebody is there. Of whom nothing is heard in time is not, and is let go. Who asks meanwhile learns the same. */
  private probe(): Promise<boolean> {
    if (this.session.destroyed) return Promise.resolve(false);
    this.probing ??= this.ask().finally(() => (this.probing = undefined));
    return this.probing;
  }

  private ask(): Promise<boolean> {
    const { bytesRead } = this.socket;
    return new Promise((resolve) => {
      const judge = (): void => {
        const isThere = this.socket.bytesRead > bytesRead;
        if (!isThere) this.destroy();
        settle(isThere);
      };
      // Time may be over because this process stood still, and the answer lie there unread: first is read what has come.
      const late = setTimeout(() => setImmediate(judge), PROBE_MS);
      const closed = (): void => settle(false);
      const settle = (isThere: boolean): void => {
        clearTimeout(late);
        this.session.off('close', closed);
        resolve(isThere);
      };
      this.session.ping((error) => settle(error === null));
      this.session.once('close', closed);
    });
  }

  /** Takes no more calls; those there are end, at once or `afterMs` from now. */
  retire(refusal: GrpcRefusal, now: number, afterMs = 0): void {
    if (this.retiredAt !== undefined) return;
    this.retiredAt = now + afterMs;
    if (this.session.destroyed) return;
    this.session.goaway(constants.NGHTTP2_NO_ERROR);
    const end = (): void => {
      for (const call of this.calls) call.end(refusal);
      if (!this.session.destroyed) this.session.close();
    };
    if (this.calls.size === 0 || afterMs === 0) end();
    else setTimeout(end, afterMs);
  }

  destroy(): void {
    this.session.destroy();
    this.socket.destroy();
  }
}

const TOO_OLD = new GrpcRefusal(STATUS.unavailable, 'the connection is old enough; open another');
const CERTIFICATE_ENDED = new GrpcRefusal(
  STATUS.unavailable,
  'the certificate of this connection has ended; open another with a new one',
);
