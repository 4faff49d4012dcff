/** How many connections the REST port holds: strangers have a bound of their own, so that operators always find room. */
import type { IncomingMessage } from 'node:http';
import type { Server } from 'node:https';
import type { Socket } from 'node:net';

export interface Bounds {
  /** Connections on which nobody has shown a token yet, from one address. */
  readonly strangersPerAddress: number;
  /** The same, from all addresses together. */
  readonly strangers: number;
  /** All connections. What strangers leave of it is for those who have shown a token. */
  readonly all: number;
}

export const BOUNDS: Bounds = { strangersPerAddress: 256, strangers: 1_024, all: 4_096 };

/** How long a connection may be open before the head of its first request is there, in milliseconds. */
const FIRST_REQUEST_MS = 10_000;

/** Decides who has to go. Connections are known by ids; the oldest come first. */
export class Connections {
  private readonly strangers = new Map<string, string>();
  private readonly known = new Set<string>();

  constructor(private readonly bounds: Bounds) {}

  /** Lets a connection in, and gives the one that has to go for it: an older stranger, or itself when there is none. */
  opened(id: string, address: string): string | undefined {
    const { strangersPerAddress, strangers, all } = this.bounds;
    this.strangers.set(id, address);
    const alike = this.strangersFrom(address);
    // Whoever floods loses its own connections first.
    if (alike.length > strangersPerAddress) return this.out(alike[0]);
    if (this.strangers.size > strangers) return this.out(this.strangersFrom(this.mostCrowded())[0]);
    if (this.strangers.size + this.known.size > all) return this.out(this.strangers.keys().next().value);
    return undefined;
  }

  /** A token was shown on it. */
  proved(id: string): void {
    if (this.strangers.delete(id)) this.known.add(id);
  }

  closed(id: string): void {
    this.strangers.delete(id);
    this.known.delete(id);
  }

  private out(id: string | undefined): string | undefined {
    if (id !== undefined) this.closed(id);
    return id;
  }

  private strangersFrom(address: string): readonly string[] {
    return [...this.strangers].flatMap(([id, from]) => (from === address ? [id] : []));
  }

  private mostCrowded(): string {
    const counts = Map.groupBy(this.strangers.values(), (address) => address);
    return [...counts].reduce((most, one) => (one[1].length > most[1].length ? one : most))[0];
  }
}

/** The connections of a server, as the rest of it has to do with them. */
export interface BoundConnections {
  /** Tells that a token was shown on the connection of a request. */
  proved(socket: Socket): void;
  /** Ends them all: the server knows nothing of those whose handshake never came, and would wait for them. */
  end(): void;
}

/** Holds `server` to the bounds. */
export function boundConnections(server: Server, bounds: Bounds = BOUNDS): BoundConnections {
  const connections = new Connections(bounds);
  const open = new Map<string, Socket>();
  const deadlines = new Map<string, NodeJS.Timeout>();
  server.on('request', ({ socket }: IncomingMessage) => {
    clearTimeout(deadlines.get(idOf(socket)));
    deadlines.delete(idOf(socket));
  });
  // Before the handshake: whoever never begins it counts as well.
  server.on('connection', (socket: Socket) => {
    const id = idOf(socket);
    open.set(id, socket);
    deadlines.set(
      id,
      setTimeout(() => socket.destroy(), FIRST_REQUEST_MS),
    );
    socket.once('close', () => {
      open.delete(id);
      clearTimeout(deadlines.get(id));
      deadlines.delete(id);
      connections.closed(id);
    });
    const leaving = connections.opened(id, socket.remoteAddress ?? '');
    if (leaving !== undefined) open.get(leaving)?.destroy();
  });
  return {
    proved: (socket) => connections.proved(idOf(socket)),
    end: () => open.forEach((socket) => socket.destroy()),
  };
}

/** A connection and the TLS over it have the same other end, and no other connection has that. */
const idOf = ({ remoteAddress, remotePort }: Socket): string => `${remoteAddress}|${remotePort}`;
