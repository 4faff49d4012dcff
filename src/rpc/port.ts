/** A gRPC port of the server: TLS 1.3 alone, a certificate that can be replaced while it serves, and bounds on who may come in. */
import { createServer as createDoor, type Server as Door, type Socket } from 'node:net';
import { createServer, type TLSSocket, type Server } from 'node:tls';
import { Arrivals } from './arrivals.js';
import { ByteBudget } from './budget.js';
import { Connection } from './connection.js';
import type { Limits } from './limits.js';
import type { StreamMethod } from './method.js';
import { networkOf } from './network.js';
import { memberOf, type Peer } from './peer.js';
import { Places, type Place } from './places.js';
import { Rates } from './rates.js';
import { GrpcRefusal, STATUS } from './refusal.js';
import { systemTicks, type Ticks } from './ticks.js';

/** What a port shows and whom it believes, as PEM. */
export interface TlsMaterial {
  readonly key: string;
  readonly cert: string;
  readonly ca: string;
}

export interface PortOptions {
  readonly material: TlsMaterial;
  readonly limits: Limits;
  /** Given: a caller must prove an identity of it before it is heard. */
  readonly trustDomain?: string;
  readonly onFailure: (error: unknown) => void;
  readonly ticks?: Ticks;
}

/** How long after the last stream was to end nobody is waited for any more. */
const DRAIN_REST_MS = 2_000;

export class GrpcPort {
  /** Whoever comes in waits behind the door, and says nothing, until it is its turn to shake hands. */
  private readonly door: Door;
  private readonly arrivals: Arrivals;
  private readonly server: Server;
  private readonly places: Places;
  private readonly budget: ByteBudget;
  private readonly connections = new Set<Connection>();
  private readonly methods = new Map<string, StreamMethod<unknown>>();
  /** Who has come in and not shaken hands yet, by address and port. */
  private readonly arriving = new Map<string, Place>();
  private readonly arrivalRates: Rates | undefined;
  private readonly ticks: Ticks;
  private stopTicking: (() => void) | undefined;
  private isShut = false;
  private whenEmpty: (() => void) | undefined;

  constructor(private readonly options: PortOptions) {
    const { material, limits, trustDomain, ticks = systemTicks } = options;
    this.ticks = ticks;
    this.places = new Places(limits);
    this.budget = new ByteBudget(limits.portBytes);
    this.arrivalRates = limits.arrivals && new Rates(limits.arrivals.burst, limits.arrivals.everyMs);
    this.server = createServer({
      ...contextOf(material),
      requestCert: trustDomain !== undefined,
      rejectUnauthorized: true,
      // A list of protocols is copied for each connection into memory that Node hands out from large pieces, and would keep
      // one of those alive for as long as a sidecar stays.
      ALPNCallback: ({ protocols }) => protocols.find((protocol) => protocol === 'h2'),
      handshakeTimeout: limits.handshakeMs,
    });
    this.arrivals = new Arrivals((socket) => this.server.emit('connection', socket));
    this.door = createDoor({ noDelay: true, pauseOnConnect: true }, (socket) => this.arrive(socket));
    this.server.on('secureConnection', (socket) => this.welcome(socket));
    this.server.on('tlsClientError', (_, socket) => socket.destroy());
  }

  /** Connections there are, of strangers and of members. */
  get taken(): Places['taken'] {
    return this.places.taken;
  }

  /** Serves `methods` from now on. */
  add(...methods: readonly StreamMethod<unknown>[]): void {
    for (const method of methods) this.methods.set(method.path, method);
  }

  /** Begins to serve and gives the port, which is chosen freely for port 0. Throws when the address cannot be had. */
  listen({ host, port }: { readonly host: string; readonly port: number }): Promise<number> {
    return new Promise((resolve, reject) => {
      this.door.once('error', reject);
      this.door.listen({ host, port }, () => {
        this.door.off('error', reject).on('error', this.options.onFailure);
        this.stopTicking = this.ticks.each(() => this.tick());
        const address = this.door.address();
        resolve(typeof address === 'object' && address ? address.port : port);
      });
    });
  }

  /** Shows `material` to whoever connects from now on. */
  replaceCertificate(material: TlsMaterial): void {
    this.server.setSecureContext(contextOf(material));
  }

  /**
   * Takes nobody in any more, and ends all calls that do not end by themselves: spread over `spreadMs`, so that those who
   * come back elsewhere do not all come at once. Done when everybody has gone, or was given the time to.
   */
  async drain(spreadMs: number): Promise<void> {
    this.shut();
    const now = this.ticks.elapsed();
    for (const connection of this.connections) connection.retire(STOPPING, now, Math.random() * spreadMs);
    if (this.connections.size === 0) return;
    await new Promise<void>((resolve) => {
      this.whenEmpty = resolve;
      setTimeout(resolve, spreadMs + DRAIN_REST_MS);
    });
  }

  /** Ends every call and lets go of the port. */
  close(): void {
    this.stopTicking?.();
    this.shut();
    for (const connection of this.connections) connection.destroy();
  }

  private shut(): void {
    this.isShut = true;
    this.door.close();
    this.arrivals.close();
  }

  /** Before the handshake begins: who is not welcome must cost nothing. */
  private arrive(socket: Socket): void {
    const { address, from } = whereFrom(socket);
    if (this.arrivalRates?.take(networkOf(address), this.ticks.elapsed()) === false) return void socket.destroy();
    const place = this.places.enter(address, () => socket.destroy());
    this.arriving.set(from, place);
    socket.on('error', () => undefined);
    socket.once('close', () => {
      this.arriving.delete(from);
      place.leave();
    });
    this.arrivals.add(socket);
  }

  private welcome(socket: TLSSocket): void {
    const { address, from } = whereFrom(socket);
    const place = this.arriving.get(from);
    this.arriving.delete(from);
    socket.on('error', () => undefined);
    const peer = this.peerOf(socket, address, from);
    const mayStay = this.options.trustDomain === undefined || place?.prove(peer?.member?.enrolment ?? address);
    // Some were shaking hands already when nobody was to be taken in any more.
    const isWelcome = place && peer && mayStay && socket.alpnProtocol === 'h2' && !this.isShut;
    if (!isWelcome) return void socket.destroy();
    const { limits, onFailure } = this.options;
    const now = (): number => this.ticks.elapsed();
    const options = { peer, limits, onFailure, now, methods: this.methods, budget: this.budget };
    const connection = new Connection(socket, options);
    this.connections.add(connection);
    socket.once('close', () => {
      this.connections.delete(connection);
      if (this.connections.size === 0) this.whenEmpty?.();
    });
  }

  /** Who that is; undefined when it is not there any more. A member without an enrolment is told so when it calls. */
  private peerOf(socket: TLSSocket, address: string, from: string): Peer | undefined {
    const { trustDomain } = this.options;
    if (trustDomain === undefined) return { address, from };
    const certificate = socket.getPeerX509Certificate();
    if (!certificate) return undefined;
    const member = memberOf(certificate, trustDomain);
    return { address, from, ...(member && { member }) };
  }

  private tick(): void {
    const [now, wall] = [this.ticks.elapsed(), this.ticks.wall()];
    for (const connection of this.connections) connection.tick(now, wall);
  }
}

const STOPPING = new GrpcRefusal(STATUS.unavailable, 'the control plane is stopping; come back in a moment');

const contextOf = ({ key, cert, ca }: TlsMaterial) => ({ key, cert, ca, minVersion: 'TLSv1.3' as const });

function whereFrom({ remoteAddress = '', remotePort = 0 }: Socket): {
  readonly address: string;
  readonly from: string;
} {
  // An IPv4 caller of a port that listens for both.
  const address = remoteAddress.replace(/^::ffff:(?=\d+\.)/, '');
  return { address, from: `${address.includes(':') ? `[${address}]` : address}:${remotePort}` };
}
