/** The aggregated stream over gRPC: lets a sidecar in, gives it a session, and carries what the session says. */
import { TYPE_ORDER } from '../compile/resource.js';
import type { SpiffeId } from '../model/names.js';
import { steadyNow } from '../model/steady-time.js';
import type { LimitedLog } from '../rpc/limited-log.js';
import type { Stream, StreamListener, StreamMethod } from '../rpc/method.js';
import { callerOf, type Peer } from '../rpc/peer.js';
import { FAILED, GrpcRefusal, STATUS } from '../rpc/refusal.js';
import { inOneLine } from '../rpc/words.js';
import { SessionViolation, type DeltaRequest, type DeltaResponse } from './delta.js';
import type { Engine } from './engine.js';
import type { Session } from './session.js';
import { decodeRequest, encodeResponse, type ReceivedRequest } from './wire.js';

/** How long a client may leave a response unanswered before its stream is ended, in milliseconds. */
const ACK_DEADLINE_MS = 30_000;
/** How often that is looked at. */
const WATCH_MS = 5_000;

/** What the stream needs to know of the rest of the server. */
export interface Gatekeeper {
  /** Throws GrpcRefusal unless `peer` may speak for the workload `id`. */
  admit(id: string, peer: Peer): void;
}

const DOUBLE = 'another process with the same certificate has the stream';

/** A stream that is open, as others are told of it. */
export interface Connection {
  /** `namespace/name` of its workload. */
  readonly id: string;
  /** That of its sidecar. */
  readonly enrolment: string;
  readonly identity: SpiffeId;
  readonly agent: string;
  readonly session: Session;
}

/** Keeps account of who is there. */
export interface Roll {
  /** Notes a stream; the one that its proxy had before, if any, is given back to be ended. */
  connected(connection: Connection): Connection | undefined;
  disconnected(connection: Connection): void;
}

/** A stream that is open, as the server holds it. */
interface Line {
  readonly call: Stream;
  readonly connection: Connection;
  /** When it was let in, in milliseconds since the epoch. */
  readonly since: number;
  /** It has asked for what is none of its business, and that has been logged. */
  hasTrespassed: boolean;
}

export class AdsService {
  private readonly lines = new Map<Session, Line>();
  /** The same by enrolment: a fleet that comes back asks for each of its own. */
  private readonly byEnrolment = new Map<string, Line>();
  private readonly watch: NodeJS.Timeout;

  constructor(
    private readonly engine: Engine,
    private readonly roll: Roll,
    private readonly gatekeeper: Gatekeeper,
    private readonly log: LimitedLog,
  ) {
    engine.speakThrough((session, says) => this.carry(session, says));
    this.watch = setInterval(() => this.endSilent(steadyNow()), WATCH_MS).unref();
  }

  readonly method: StreamMethod<ReceivedRequest> = {
    path: '/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources',
    decode: decodeRequest,
    open: (call) => this.open(call),
  };

  /** The enrolments that have a stream. */
  streams(): Iterable<string> {
    return this.byEnrolment.keys();
  }

  /** Whether the sidecar of an enrolment has its stream. */
  isThere(enrolment: string): boolean {
    return this.byEnrolment.has(enrolment);
  }

  /** Ends the stream of an enrolment, if it has one. */
  end(enrolment: string, refusal: GrpcRefusal): void {
    this.byEnrolment.get(enrolment)?.call.end(refusal);
  }

  /**
   * Refuses a caller while another process with the same certificate has its stream: a copy of the state of a sidecar is no
   * second sidecar, and neither could be believed. One that has vanished stands in nobody's way. Throws FAILED_PRECONDITION.
   */
  async refuseDouble({ peer }: Pick<Stream, 'peer'>): Promise<void> {
    const holder = this.byEnrolment.get(callerOf(peer).enrolment);
    if (!holder || holder.call.peer === peer || !(await holder.call.probe())) return;
    const { id, enrolment } = holder.connection;
    this.log.warn(enrolment, { event: 'double', proxy: id, at: holder.call.peer.from, from: peer.from }, DOUBLE);
    throw new GrpcRefusal(
      STATUS.failedPrecondition,
      `${DOUBLE}: ${holder.connection.id} at ${holder.call.peer.from}; give each its own --name and state directory`,
    );
  }

  close(): void {
    clearInterval(this.watch);
  }

  /** Nothing more is read while the first request lets the client in, which may take a look at another connection. */
  private open(call: Stream): StreamListener<ReceivedRequest> {
    let line: Line | undefined;
    let isOver = false;
    const begin = (first: ReceivedRequest): void => {
      call.pause();
      this.admit(call, first, () => isOver)
        .then((admitted) => {
          line = admitted;
          // There may be nothing to say for a long time: this says that somebody listens.
          call.accept();
          this.receive(admitted, first);
          call.resume();
        })
        .catch((error: unknown) => this.refuse(call, error));
    };
    return {
      message: (request) => (line ? this.receive(line, request) : begin(request)),
      finished: () => call.end(),
      closed: () => {
        isOver = true;
        if (line) this.ended(line);
      },
    };
  }

  private async admit(call: Stream, { node }: ReceivedRequest, isOver: () => boolean): Promise<Line> {
    const { identity, enrolment } = callerOf(call.peer);
    if (!node?.id)
      throw new GrpcRefusal(STATUS.invalidArgument, 'the first request of a stream must say which node sends it');
    this.gatekeeper.admit(node.id, call.peer);
    await this.refuseDouble(call);
    // It may have been evicted while that was found out.
    this.gatekeeper.admit(node.id, call.peer);
    if (isOver()) throw new GrpcRefusal(STATUS.cancelled, 'the stream was given up');
    // Our own sidecars begin with a request of every type; only after the last of them is it known what they hold.
    const announced = node.agent.startsWith('sluice-proxy') ? TYPE_ORDER : [];
    const session = this.engine.open(node.id, announced);
    const connection = { id: node.id, enrolment, identity, agent: node.agent, session };
    const line = { call, connection, since: steadyNow(), hasTrespassed: false };
    this.lines.set(session, line);
    this.byEnrolment.set(enrolment, line);
    const before = this.roll.connected(connection);
    if (before)
      this.lines.get(before.session)?.call.end(new GrpcRefusal(STATUS.aborted, 'a newer stream took its place'));
    const fields = { proxy: node.id, enrolment, identity, agent: node.agent, from: call.peer.from };
    this.log.info(enrolment, fields, 'proxy connected');
    return line;
  }

  private receive(line: Line, request: ReceivedRequest): void {
    const { id, session, enrolment } = line.connection;
    if (!this.lines.has(session)) return;
    if (request.error && session.isWaitingFor(request))
      this.log.warn(
        enrolment,
        { proxy: id, type: request.type, ...inShort(request.error) },
        'proxy refused a resource',
      );
    const [foreign] = line.hasTrespassed ? [] : this.engine.foreign(session, request);
    if (foreign !== undefined) {
      line.hasTrespassed = true;
      this.log.warn(
        enrolment,
        { proxy: id, asked: foreign.slice(0, 200) },
        'proxy asked for what is none of its business',
      );
    }
    this.answer(line, () => this.engine.receive(session, request));
  }

  private carry(session: Session, says: () => readonly DeltaResponse[]): void {
    const line = this.lines.get(session);
    if (line) this.answer(line, says);
  }

  /** Sends what the session says. A session that fails ends its own stream, and no other. */
  private answer({ call }: Line, says: () => readonly DeltaResponse[]): void {
    try {
      for (const response of says()) call.write(encodeResponse(response));
    } catch (error) {
      this.refuse(call, error);
    }
  }

  private refuse(call: Stream, error: unknown): void {
    if (error instanceof GrpcRefusal) call.end(error);
    else if (error instanceof SessionViolation) call.end(new GrpcRefusal(STATUS.invalidArgument, error.message));
    else {
      this.log.warn(call.peer.member?.enrolment ?? call.peer.address, { err: error }, 'a stream failed');
      call.end(FAILED);
    }
  }

  private ended(line: Line): void {
    const { connection } = line;
    this.lines.delete(connection.session);
    if (this.byEnrolment.get(connection.enrolment) === line) this.byEnrolment.delete(connection.enrolment);
    this.engine.close(connection.session);
    this.roll.disconnected(connection);
    this.log.info(connection.enrolment, { proxy: connection.id }, 'proxy disconnected');
  }

  private endSilent(now: number): void {
    for (const { call, connection, since: admittedAt } of this.lines.values()) {
      const { client, waitingSince } = connection.session;
      const since = waitingSince ?? (client.isIntroduced ? undefined : admittedAt);
      if (since === undefined || now - since < ACK_DEADLINE_MS) continue;
      const what = waitingSince === undefined ? 'it was not said what is wanted' : 'a response was not acknowledged';
      call.end(new GrpcRefusal(STATUS.deadlineExceeded, `${what} within ${ACK_DEADLINE_MS / 1_000} s`));
    }
  }
}

/** How many refused resources a line of the log names, and how much of a name. */
const NAMED = 5;
const NAME_LENGTH = 200;

/** What a client says of a refusal, as much of it as a line of the log bears. */
function inShort({ message, resources = [] }: NonNullable<DeltaRequest['error']>): object {
  const refused = resources.slice(0, NAMED).map(({ name, reason }) => ({ name: inOneLine(name, NAME_LENGTH), reason }));
  const more = resources.length - refused.length;
  return { says: message, refused, ...(more > 0 && { more }) };
}
