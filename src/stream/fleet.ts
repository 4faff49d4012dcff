/** All sidecars there are: those that have a stream, and those whose workloads say that there ought to be one. */
import type { Mesh } from '../model/mesh.js';
import { byName, type SpiffeId } from '../model/names.js';
import type { Proxy, ProxyState } from './proxy.js';
import type { Sequences } from './sequences.js';
import type { Session } from './session.js';

/** A stream that is open now. */
export interface Connection {
  readonly id: string;
  /** That of its sidecar. */
  readonly enrolment: string;
  readonly identity: SpiffeId;
  readonly agent: string;
  readonly session: Session;
}

/** What is known of a sidecar that has no stream: when it was last heard of, and what it served. */
interface Trace {
  readonly at: number;
  readonly serves: number | undefined;
}

/** Whether a sidecar is there, and since when that is so, in milliseconds since the epoch. */
export interface Attendance {
  readonly state: ProxyState;
  readonly since: number;
}

export class Fleet {
  private readonly connections = new Map<string, Connection & { readonly since: number }>();
  private readonly traces = new Map<string, Trace>();
  private readonly listeners = new Set<() => void>();
  private readonly startedAt: number;

  /** @param leaseMs how long a sidecar without a stream is waited for
   * @param sequences what revision a sequence that a stream proves stands for */
  constructor(
    private readonly leaseMs: number,
    private readonly sequences: Pick<Sequences, 'revisionAt'>,
    private readonly clock: () => number = Date.now,
  ) {
    this.startedAt = clock();
  }

  /** Notes a stream; the one that its proxy had before, if any, is given back to be ended. */
  connected(connection: Connection): Connection | undefined {
    const before = this.connections.get(connection.id);
    this.connections.set(connection.id, { ...connection, since: this.clock() });
    this.traces.delete(connection.id);
    this.changed();
    return before;
  }

  /** Notes that a stream has ended. One that was replaced by a newer one is nobody's loss. */
  disconnected({ id, session }: Connection): void {
    if (this.connections.get(id)?.session !== session) return;
    this.connections.delete(id);
    this.traces.set(id, { at: this.clock(), serves: session.serves });
    this.changed();
  }

  /** Notes that a sidecar has spoken in another way than over its stream: it has a lease to open one. */
  heard(id: string): void {
    if (this.connections.has(id)) return;
    this.traces.set(id, { at: this.clock(), serves: this.traces.get(id)?.serves });
    this.changed();
  }

  isConnected(id: string): boolean {
    return this.connections.has(id);
  }

  /** How it stands with the sidecar of a workload. */
  attendance(id: string): Attendance {
    const connection = this.connections.get(id);
    if (connection) return { state: 'connected', since: connection.since };
    // A server that has just started has seen nobody yet: everybody has a lease to come back.
    const at = this.traces.get(id)?.at ?? this.startedAt;
    return { state: this.clock() - at < this.leaseMs ? 'disconnected' : 'lost', since: at };
  }

  /** Tells whoever waits that some proxy has come to serve something else. */
  changed(): void {
    for (const listener of this.listeners) listener();
  }

  /** Calls `listener` whenever something may be different. Returns what ends that. */
  onChange(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** Every proxy that there is or ought to be in `mesh`, by id. */
  proxies(mesh: Mesh): Proxy[] {
    const registered = [...mesh.Workload].filter(([, { metadata }]) => metadata.origin === 'sidecar');
    const absent = registered.filter(([id]) => !this.connections.has(id));
    return [
      ...[...this.connections.values()].map((connection) => this.present(connection)),
      ...absent.map(([id, { spec }]) => this.absent(id, spec.identity)),
    ].sort((a, b) => byName(a.id, b.id));
  }

  /** Forgets what remains of streams of workloads that are no more. */
  forgetTraces(mesh: Mesh): void {
    for (const id of this.traces.keys()) if (!mesh.Workload.has(id)) this.traces.delete(id);
  }

  private absent(id: string, identity: SpiffeId | undefined): Proxy {
    const { state, since } = this.attendance(id);
    const serves = this.traces.get(id)?.serves;
    return {
      id,
      ...(identity !== undefined && { identity }),
      state,
      since: new Date(since).toISOString(),
      ...(serves !== undefined && { serves: this.sequences.revisionAt(serves) }),
      holds: new Map(),
      refusals: [],
    };
  }

  private present({ id, identity, agent, session, since }: Connection & { readonly since: number }): Proxy {
    return {
      id,
      identity,
      state: 'connected',
      since: new Date(since).toISOString(),
      agent,
      ...(session.serves !== undefined && { serves: this.sequences.revisionAt(session.serves) }),
      get holds() {
        return session.holds;
      },
      refusals: session.refusals,
    };
  }
}
