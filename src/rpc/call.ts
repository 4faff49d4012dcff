/** One call: takes messages from an HTTP/2 stream, hands them to its method, and carries what that says. */
import { constants, type IncomingHttpHeaders, type ServerHttp2Stream } from 'node:http2';
import type { ByteBudget } from './budget.js';
import { MessageReader, framed } from './frame.js';
import type { Limits } from './limits.js';
import type { Stream, StreamListener, StreamMethod } from './method.js';
import { Outgoing } from './outgoing.js';
import type { Peer } from './peer.js';
import { FAILED, GrpcRefusal, STATUS, statusHeaders } from './refusal.js';

const CONTENT_TYPE = 'application/grpc';

/** How long what waits to be sent may be found not to have moved, in milliseconds, before the stream is cut. */
const STALLED_MS = 30_000;
/** With so many bytes waiting, the client does not keep up. */
const BEHIND = 65_536;

/** What a call needs to know of where it came in. */
export interface Surroundings {
  readonly peer: Peer;
  readonly limits: Limits;
  readonly budget: ByteBudget;
  readonly onFailure: (error: unknown) => void;
  /** A clock that only goes forward, in milliseconds. */
  readonly now: () => number;
  /** Whether the other end of the connection answers. */
  probe(): Promise<boolean>;
}

export class Call implements Stream {
  private readonly reader: MessageReader;
  private readonly outgoing: Outgoing;
  private readonly deadline: NodeJS.Timeout | undefined;
  private listener: StreamListener<unknown> | undefined;
  private over = false;
  private isPaused = false;
  private inputEnded = false;
  /** Since when a message is waited for that has to come, or has begun to. */
  private awaitedSince: number | undefined;
  private progress = { sent: 0, at: 0 };

  constructor(
    private readonly http: ServerHttp2Stream,
    private readonly method: StreamMethod<unknown>,
    headers: IncomingHttpHeaders,
    private readonly around: Surroundings,
  ) {
    this.reader = new MessageReader(around.limits.messageBytes);
    this.outgoing = new Outgoing(http);
    this.awaitedSince = around.now();
    const timeout = timeoutOf(headers['grpc-timeout']);
    if (timeout !== undefined) this.deadline = setTimeout(() => this.end(TOO_LATE), timeout).unref();
    // What is in the middle of a message when it ends is of no use; the end itself is told by "close".
    http.on('error', () => undefined);
    http.on('close', () => this.finish());
    this.listener = this.guarded(() => method.open(this));
    if (this.over) this.listener?.closed();
    http.on('data', (piece: Buffer) => this.take(piece));
    http.on('end', () => this.inputEnds());
  }

  get peer(): Peer {
    return this.around.peer;
  }

  probe(): Promise<boolean> {
    return this.around.probe();
  }

  accept(): void {
    if (this.http.headersSent || this.over || this.http.destroyed) return;
    this.http.respond({ ':status': 200, 'content-type': CONTENT_TYPE }, { waitForTrailers: true });
    // Replaced when it ends otherwise.
    this.http.on('wantTrailers', () => this.sayGoodbye());
  }

  write(parts: readonly Uint8Array[]): boolean {
    if (this.over || this.http.destroyed) return false;
    if (this.outgoing.length > this.around.limits.unsentBytes) {
      this.cut();
      return false;
    }
    this.accept();
    this.outgoing.push(framed(parts));
    return this.outgoing.length < BEHIND;
  }

  pause(): void {
    this.isPaused = true;
    this.awaitedSince = undefined;
    this.http.pause();
  }

  resume(): void {
    if (!this.isPaused || this.over) return;
    this.isPaused = false;
    this.http.resume();
    this.deliver();
  }

  private goodbye: GrpcRefusal | undefined;

  end(refusal?: GrpcRefusal): void {
    if (this.over) return;
    this.goodbye = refusal;
    if (this.http.destroyed) return this.finish();
    if (this.http.headersSent) this.outgoing.end();
    else {
      const headers = { ':status': 200, 'content-type': CONTENT_TYPE, ...statusHeaders(refusal) };
      this.http.respond(headers, { endStream: true });
      this.hush();
    }
    this.finish();
  }

  /** Looks whether its client takes too long. Call it now and then. */
  tick(now: number): void {
    const { requestMs } = this.around.limits;
    if (this.awaitedSince !== undefined && now - this.awaitedSince >= requestMs) this.end(TOO_SLOW);
    const { sent, length } = this.outgoing;
    if (length === 0 || sent !== this.progress.sent) this.progress = { sent, at: now };
    else if (now - this.progress.at >= STALLED_MS) this.cut();
  }

  /** Gives up a client that does not read: there is no way to tell it why. */
  private cut(): void {
    this.http.close(constants.NGHTTP2_ENHANCE_YOUR_CALM);
    this.finish();
  }

  private take(piece: Buffer): void {
    if (this.over) return;
    if (!this.around.budget.take(piece.length)) return this.end(NO_ROOM);
    this.reader.push(piece);
    this.deliver();
  }

  private deliver(): void {
    while (!this.isPaused && !this.over) {
      const held = this.reader.held;
      const done = this.guarded(() => {
        const message = this.reader.next();
        if (message) this.listener?.message(this.decoded(message));
        return message === undefined;
      });
      // A failure has ended the call, and with it given back all that it held.
      if (this.over) return;
      this.around.budget.give(held - this.reader.held);
      if (done !== false) break;
    }
    if (this.isPaused) return;
    // The one that comes in small pieces has as long as the one that comes late.
    if (this.reader.held === 0) this.awaitedSince = undefined;
    else this.awaitedSince ??= this.around.now();
    if (this.inputEnded) this.inputEnds();
  }

  private decoded(message: Uint8Array): unknown {
    try {
      return this.method.decode(message);
    } catch {
      throw new GrpcRefusal(STATUS.invalidArgument, `this is no request of ${this.method.path}`);
    }
  }

  private inputEnds(): void {
    this.inputEnded = true;
    if (this.isPaused || this.over) return;
    this.awaitedSince = undefined;
    if (this.reader.held > 0) return this.end(new GrpcRefusal(STATUS.internal, 'the last message is not whole'));
    this.guarded(() => this.listener?.finished());
  }

  private guarded<Result>(work: () => Result): Result | undefined {
    try {
      return work();
    } catch (error) {
      if (!(error instanceof GrpcRefusal)) this.around.onFailure(error);
      this.end(error instanceof GrpcRefusal ? error : FAILED);
      return undefined;
    }
  }

  private sayGoodbye(): void {
    if (this.http.destroyed) return;
    this.http.sendTrailers(statusHeaders(this.goodbye));
    this.hush();
  }

  /** Whatever the client has still to say, nobody wants it (RFC 9113 §8.1). What was just said goes out first. */
  private hush(): void {
    if (this.inputEnded) return;
    setImmediate(() => {
      if (!this.http.destroyed) this.http.close(constants.NGHTTP2_NO_ERROR);
    });
  }

  private finish(): void {
    if (this.over) return;
    this.over = true;
    clearTimeout(this.deadline);
    this.awaitedSince = undefined;
    this.around.budget.give(this.reader.held);
    // Read on, or its end is never seen.
    this.http.resume();
    this.listener?.closed();
  }
}

const TOO_LATE = new GrpcRefusal(STATUS.deadlineExceeded, 'the deadline of the call has passed');
const TOO_SLOW = new GrpcRefusal(STATUS.deadlineExceeded, 'the request took too long to arrive');
const NO_ROOM = new GrpcRefusal(
  STATUS.resourceExhausted,
  'too much has begun to arrive and is not whole yet; try again later',
);

const UNITS: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1_000, m: 1, u: 1e-3, n: 1e-6 };
/** The longest that a timer can wait. */
const LONGEST_MS = 2 ** 31 - 1;

/** The time that a caller gives its call, in milliseconds. */
function timeoutOf(header: string | string[] | undefined): number | undefined {
  const [, amount = '', unit = ''] = /^(\d{1,8})([HMSmun])$/.exec(String(header)) ?? [];
  const factor = UNITS[unit];
  return factor === undefined ? undefined : Math.min(Number(amount) * factor, LONGEST_MS);
}

/** Why a request is none of gRPC, or none that is served here; answered in the terms of whoever sent it. */
export function refuseRequest(
  http: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  known: (path: string) => boolean,
): boolean {
  const say = (fields: Record<string, string | number>): true => {
    http.on('error', () => undefined);
    http.respond(fields, { endStream: true });
    http.close(constants.NGHTTP2_NO_ERROR);
    return true;
  };
  const grpc = (refusal: GrpcRefusal) => ({ ':status': 200, 'content-type': CONTENT_TYPE, ...statusHeaders(refusal) });
  if (headers[':method'] !== 'POST') return say({ ':status': 405, allow: 'POST' });
  if (!/^application\/grpc(\+proto)?(;|$)/.test(headers['content-type'] ?? '')) return say({ ':status': 415 });
  const path = String(headers[':path']);
  if (!known(path)) return say(grpc(new GrpcRefusal(STATUS.unimplemented, `there is no method ${path.slice(0, 200)}`)));
  if ((headers['grpc-encoding'] ?? 'identity') === 'identity') return false;
  const compressed = new GrpcRefusal(STATUS.unimplemented, 'compressed messages are not taken here');
  return say({ ...grpc(compressed), 'grpc-accept-encoding': 'identity' });
}
