/** The aggregated stream over gRPC: lets a sidecar in, gives it a session, and carries what the session says. */
import * as grpc from '@grpc/grpc-js';
import { TYPE_ORDER } from '../compile/resource.js';
import type { SpiffeId } from '../model/names.js';
import { SessionViolation, type DeltaResponse, type Published } from './delta.js';
import type { Connection, Fleet } from './fleet.js';
import { GrpcRefusal, callerOf } from './grpc.js';
import type { Publisher } from './publisher.js';
import { Session } from './session.js';
import { decodeRequest, encodeResponse, type ReceivedRequest } from './wire.js';

/** How long a client may leave a response unanswered before its stream is ended, in milliseconds. */
const ACK_DEADLINE_MS = 30_000;
/** How often that is looked at. */
const WATCH_MS = 5_000;

/** What the stream needs to know of the rest of the server. */
export interface Gatekeeper {
  readonly trustDomain: string;
  /** Throws GrpcRefusal unless `identity` may speak for the workload `id`. */
  admit(id: string, identity: SpiffeId): Promise<void>;
}

export interface Log {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}

type Call = grpc.ServerDuplexStream<ReceivedRequest, DeltaResponse>;

/** A stream that is open, as the server holds it. */
interface Line {
  readonly call: Call;
  readonly connection: Connection;
}

export class AdsService {
  private readonly lines = new Map<Session, Line>();
  private readonly watch: NodeJS.Timeout;

  constructor(
    private readonly publisher: Publisher,
    private readonly fleet: Fleet,
    private readonly gatekeeper: Gatekeeper,
    private readonly log: Log,
  ) {
    publisher.onPublish((published) => this.publish(published));
    this.watch = setInterval(() => this.endSilent(Date.now()), WATCH_MS).unref();
  }

  readonly definition: grpc.ServiceDefinition = {
    deltaAggregatedResources: {
      path: '/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources',
      requestStream: true,
      responseStream: true,
      requestDeserialize: decodeRequest,
      responseSerialize: (response: DeltaResponse) => encodeResponse(response),
      requestSerialize: () => Buffer.alloc(0),
      responseDeserialize: () => undefined,
    },
  };

  readonly handlers: grpc.UntypedServiceImplementation = {
    deltaAggregatedResources: (call: Call) => this.open(call),
  };

  /** Ends the stream of a proxy, if it has one. */
  end(id: string, refusal: GrpcRefusal): void {
    for (const { call, connection } of this.lines.values()) if (connection.id === id) call.emit('error', refusal);
  }

  close(): void {
    clearInterval(this.watch);
  }

  /** Nothing more is read while the first request lets the client in, which takes a look at the database. */
  private open(call: Call): void {
    let line: Line | undefined;
    call.once('data', (first: ReceivedRequest) => {
      call.pause();
      this.admit(call, first)
        .then((admitted) => {
          line = admitted;
          // There may be nothing to say for a long time: this says that somebody listens.
          call.sendMetadata(new grpc.Metadata());
          call.on('data', (request: ReceivedRequest) => this.receive(admitted, request));
          this.receive(admitted, first);
          call.resume();
        })
        .catch((error: unknown) => this.refuse(call, error));
    });
    const over = (): void => {
      if (line) this.ended(line);
      line = undefined;
    };
    call.on('end', () => {
      over();
      call.end();
    });
    call.on('cancelled', over);
    call.on('error', over);
  }

  private async admit(call: Call, { node }: ReceivedRequest): Promise<Line> {
    const identity = callerOf(call, this.gatekeeper.trustDomain);
    if (!node?.id)
      throw new GrpcRefusal(grpc.status.INVALID_ARGUMENT, 'the first request of a stream must say which node sends it');
    await this.gatekeeper.admit(node.id, identity);
    if (call.cancelled) throw new GrpcRefusal(grpc.status.CANCELLED, 'the stream was given up');
    // Our own sidecars begin with a request of every type; only after the last of them is it known what they hold.
    const announced = node.agent.startsWith('sluice-proxy') ? TYPE_ORDER : [];
    const connection = {
      id: node.id,
      identity,
      agent: node.agent,
      session: new Session(this.publisher.published, announced),
    };
    const line = { call, connection };
    this.lines.set(connection.session, line);
    const before = this.fleet.connected(connection);
    if (before)
      this.lines
        .get(before.session)
        ?.call.emit('error', new GrpcRefusal(grpc.status.ABORTED, 'a newer stream took its place'));
    this.log.info({ proxy: node.id, identity, agent: node.agent }, 'proxy connected');
    return line;
  }

  private receive(line: Line, request: ReceivedRequest): void {
    const { id, session } = line.connection;
    if (!this.lines.has(session)) return;
    if (request.error)
      this.log.warn({ proxy: id, type: request.type, refused: request.error }, 'proxy refused a resource');
    this.answer(line, () => session.receive(request, Date.now()));
    this.fleet.changed();
  }

  private publish(published: Published): void {
    const now = Date.now();
    for (const line of this.lines.values()) this.answer(line, () => line.connection.session.publish(published, now));
    this.fleet.changed();
  }

  /** Sends what the session says. A session that fails ends its own stream, and no other. */
  private answer({ call }: Line, says: () => DeltaResponse[]): void {
    try {
      for (const response of says()) call.write(response);
    } catch (error) {
      this.refuse(call, error);
    }
  }

  private refuse(call: Call, error: unknown): void {
    if (error instanceof GrpcRefusal) call.emit('error', error);
    else if (error instanceof SessionViolation)
      call.emit('error', new GrpcRefusal(grpc.status.INVALID_ARGUMENT, error.message));
    else {
      this.log.warn({ err: error }, 'a stream failed');
      call.emit('error', new GrpcRefusal(grpc.status.INTERNAL, 'the control plane failed; its log says why'));
    }
  }

  private ended({ connection }: Line): void {
    this.lines.delete(connection.session);
    this.fleet.disconnected(connection);
    this.log.info({ proxy: connection.id }, 'proxy disconnected');
  }

  private endSilent(now: number): void {
    for (const { call, connection } of this.lines.values()) {
      const since = connection.session.waitingSince;
      if (since === undefined || now - since < ACK_DEADLINE_MS) continue;
      const seconds = ACK_DEADLINE_MS / 1_000;
      call.emit(
        'error',
        new GrpcRefusal(grpc.status.DEADLINE_EXCEEDED, `a response was not acknowledged within ${seconds} s`),
      );
    }
  }
}
