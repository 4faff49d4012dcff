/** All sidecars there are: those that have a stream, and those whose enrolments say that there ought to be one. */
import { byName, type SpiffeId } from '../model/names.js';
import { steadyNow } from '../model/steady-time.js';
import type { Connection, Roll } from '../stream/ads.js';
import type { Audience } from '../stream/audience.js';
import type { Session } from '../stream/session.js';
import type { Proxy, ProxyState } from './proxy.js';
import { isWholeAt } from './receipt.js';
import type { Effect } from './ring.js';

/** A sidecar that has joined. */
export interface EnrolmentView {
  /** Names it among all that ever were. */
  readonly enrolment: string;
  /** `namespace/name` of its workload. */
  readonly id: string;
  readonly identity: SpiffeId;
  /** In milliseconds since the epoch. */
  readonly joinedAt: number;
  /** When it was turned out or replaced, in milliseconds since the epoch. Whoever left by itself is not listed any more. */
  readonly endedAt?: number;
  /** Until when it can show its certificate, in milliseconds since the epoch; one that has ended is not listed after that. */
  readonly certificateEndsAt: number;
}

export interface Enrolments {
  list(): Iterable<EnrolmentView>;
  get(enrolment: string): EnrolmentView | undefined;
  /** The one that speaks for a workload now. */
  holding(id: string): EnrolmentView | undefined;
  /** Calls `listener` when one has come, ended or gone. Returns what ends that. */
  onChange(listener: () => void): () => void;
}

/** Whether a sidecar is there, and since when that is so, in milliseconds since the epoch. */
export interface Attendance {
  readonly state: ProxyState;
  readonly since: number;
}

/** A sidecar that has its stream, and since when: as text as well, because every answer to a write looks at all whom it concerns. */
interface Presence extends Connection {
  readonly since: number;
  readonly sinceText: string;
}

/** A proxy by its enrolment and its id. */
interface Named {
  readonly enrolment: string;
  readonly id: string;
}

/** What is known of a sidecar that has no stream: when it was last heard of, and the session it had then. */
interface Trace {
  readonly at: number;
  /** It was heard of in another way than over a stream since it had one. */
  readonly hasSpoken?: boolean;
  readonly session?: Session;
}

/** What may concern a proxy. */
export type Concern = Pick<Effect, 'names' | 'sequence' | 'isVague'>;

/** A timer for longer than this would end at once. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

export class Fleet implements Roll {
  private readonly connections = new Map<string, Presence>();
  private readonly bySession = new Map<Session, string>();
  private readonly traces = new Map<string, Trace>();
  private readonly listeners = new Set<() => void>();
  private readonly startedAt: number;
  /** Those that may not have said yet what they want. */
  private readonly strangers = new Set<string>();
  private everybody: readonly Named[] | undefined;
  private absentees: readonly string[] | undefined;
  private nextLapse: NodeJS.Timeout | undefined;
  private version = 0;

  /** @param leaseMs how long a sidecar without a stream is waited for */
  constructor(
    private readonly enrolments: Enrolments,
    private readonly leaseMs: number,
    private readonly clock: () => number = steadyNow,
  ) {
    this.startedAt = clock();
    enrolments.onChange(() => {
      this.forgetTraces();
      this.changed();
    });
    this.changed();
  }

  /** Grows whenever a sidecar has come, gone, or been given up. */
  get changes(): number {
    return this.version;
  }

  /** Notes a stream; the one that its proxy had before, if any, is given back to be ended. */
  connected(connection: Connection): Connection | undefined {
    const { enrolment, session } = connection;
    const before = this.connections.get(enrolment);
    if (before) this.bySession.delete(before.session);
    const since = this.clock();
    this.connections.set(enrolment, { ...connection, since, sinceText: new Date(since).toISOString() });
    this.bySession.set(session, enrolment);
    this.traces.delete(enrolment);
    this.strangers.add(enrolment);
    this.changed();
    return before;
  }

  /** Notes that a stream has ended. One that was replaced by a newer one is nobody's loss. */
  disconnected({ enrolment, session }: Connection): void {
    this.bySession.delete(session);
    if (this.connections.get(enrolment)?.session !== session) return;
    this.connections.delete(enrolment);
    this.traces.set(enrolment, { at: this.clock(), ...(session.client.isIntroduced && { session }) });
    this.changed();
  }

  /**
   * Notes that the sidecar of a workload has spoken in another way than over its stream: it has a lease to open one, from the
   * first time on that it speaks so.
   */
  heard(id: string): void {
    const enrolment = this.enrolments.holding(id)?.enrolment;
    if (enrolment === undefined || this.connections.has(enrolment)) return;
    const trace = this.traces.get(enrolment);
    if (trace?.hasSpoken) return;
    this.traces.set(enrolment, { ...trace, at: this.clock(), hasSpoken: true });
    this.changed();
  }

  /** How it stands with the sidecar of a workload. */
  attendance(id: string): Attendance {
    const view = this.enrolments.holding(id);
    if (!view) return { state: 'lost', since: this.startedAt };
    const connection = this.connections.get(view.enrolment);
    if (connection) return { state: 'connected', since: connection.since };
    const since = this.lastHeard(view);
    return { state: this.clock() - since < this.leaseMs ? 'disconnected' : 'lost', since };
  }

  /** Calls `listener` whenever a sidecar has come, gone or been given up. Returns what ends that. */
  onChange(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** Every proxy that there is or ought to be, in order of id. */
  proxies(): Proxy[] {
    return this.sorted.flatMap(({ enrolment }) => this.get(enrolment) ?? []);
  }

  /** Up to `limit` proxies whose ids come after `after`, and whether there are more. */
  page(after: string, limit: number): { readonly proxies: readonly Proxy[]; readonly more: boolean } {
    const { sorted } = this;
    let [low, high] = [0, sorted.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((sorted[middle]?.id ?? '') > after) high = middle;
      else low = middle + 1;
    }
    const page = sorted.slice(low, low + limit);
    return { proxies: page.flatMap(({ enrolment }) => this.get(enrolment) ?? []), more: low + limit < sorted.length };
  }

  /** The proxy of a workload, by its id: the one that is there, if several have borne that name. */
  named(id: string): Proxy | undefined {
    const found = this.sorted.filter((one) => one.id === id).flatMap(({ enrolment }) => this.get(enrolment) ?? []);
    return found.find(({ state }) => state === 'connected') ?? found.find(({ state }) => state !== 'lost') ?? found[0];
  }

  get(enrolment: string): Proxy | undefined {
    const connection = this.connections.get(enrolment);
    if (connection) return present(connection);
    const view = this.enrolments.get(enrolment);
    return view && this.absent(view);
  }

  /** Those that want any of what a revision changed, and those of whom it is not known. */
  concernedBy(effect: Concern, audience: Audience<Session>): Proxy[] {
    const { names, sequence, isVague } = effect;
    const isBehind = ({ serves }: Session): boolean => isVague && !isWholeAt(sequence, serves);
    const sessions = this.sessionsConcernedBy(effect, audience);
    const concerned = new Set([...sessions].flatMap((session) => this.bySession.get(session) ?? []));
    for (const enrolment of this.away) {
      const session = this.lastOf(enrolment);
      if (!session || isBehind(session) || session.client.wantsAny(names)) concerned.add(enrolment);
    }
    return [...concerned].flatMap((enrolment) => this.get(enrolment) ?? []);
  }

  /** Those of `concernedBy` that have a stream. */
  sessionsConcernedBy({ names, sequence, isVague }: Concern, audience: Audience<Session>): Set<Session> {
    const sessions = new Set<Session>();
    if (isVague)
      for (const { session } of this.connections.values())
        if (!isWholeAt(sequence, session.serves)) sessions.add(session);
    for (const [type, some] of names) {
      for (const name of some) {
        for (const session of audience.of(name)) {
          if (session.client.stateOf(type).subscription.covers(name)) sessions.add(session);
        }
      }
    }
    for (const session of audience.ofAll) if (session.client.wantsAny(names)) sessions.add(session);
    for (const enrolment of this.strangers) {
      const session = this.connections.get(enrolment)?.session;
      if (session?.client.isIntroduced === false) sessions.add(session);
      else this.strangers.delete(enrolment);
    }
    return sessions;
  }

  close(): void {
    clearTimeout(this.nextLapse);
    this.listeners.clear();
  }

  private lastOf(enrolment: string): Session | undefined {
    return this.traces.get(enrolment)?.session;
  }

  /** Everybody that there ought to be, in order of id: not those that were turned out. */
  private get sorted(): readonly Named[] {
    if (this.everybody) return this.everybody;
    const ids = new Map<string, string>();
    for (const { enrolment, id, endedAt } of this.enrolments.list()) if (endedAt === undefined) ids.set(enrolment, id);
    for (const { enrolment, id } of this.connections.values()) ids.set(enrolment, id);
    const named = [...ids].map(([enrolment, id]): Named => ({ enrolment, id }));
    return (this.everybody = named.sort((a, b) => byName(a.id, b.id) || byName(a.enrolment, b.enrolment)));
  }

  /** Those that have no stream, those that were turned out among them. */
  private get away(): readonly string[] {
    if (this.absentees) return this.absentees;
    const all = [...this.enrolments.list()].map(({ enrolment }) => enrolment);
    return (this.absentees = all.filter((enrolment) => !this.connections.has(enrolment)));
  }

  private forgetTraces(): void {
    for (const enrolment of this.traces.keys()) if (!this.enrolments.get(enrolment)) this.traces.delete(enrolment);
  }

  /** When the sidecar was last heard of. A server that has just started has seen nobody yet: everybody has a lease to come back. */
  private lastHeard({ enrolment, joinedAt }: EnrolmentView): number {
    // It may have joined by a clock that was wrong then.
    return this.traces.get(enrolment)?.at ?? Math.min(this.clock(), Math.max(this.startedAt, joinedAt));
  }

  private absent(view: EnrolmentView): Proxy {
    const { enrolment, id, identity, endedAt } = view;
    const at = endedAt ?? this.lastHeard(view);
    const session = this.lastOf(enrolment);
    const serves = session?.serves;
    return {
      enrolment,
      id,
      identity,
      state: endedAt === undefined && this.clock() - at < this.leaseMs ? 'disconnected' : 'lost',
      since: new Date(at).toISOString(),
      ...(serves !== undefined && { serves }),
      ...(session && { client: session.client }),
    };
  }

  private changed(): void {
    this.version += 1;
    this.everybody = undefined;
    this.absentees = undefined;
    this.awaitLapse();
    for (const listener of this.listeners) listener();
  }

  /**
   * Whoever waits is told when the next lease has run out, or the next certificate of one that was turned out. It is looked
   * again after a lease at the latest: one that begins meanwhile does not end before that.
   */
  private awaitLapse(): void {
    if (this.nextLapse) return;
    const now = this.clock();
    let next = Infinity;
    for (const view of this.enrolments.list()) {
      if (this.connections.has(view.enrolment)) continue;
      const at = view.endedAt === undefined ? this.lastHeard(view) + this.leaseMs : view.certificateEndsAt;
      if (at > now) next = Math.min(next, at);
    }
    if (next === Infinity) return;
    const look = (): void => {
      this.nextLapse = undefined;
      this.changed();
    };
    this.nextLapse = setTimeout(look, Math.min(next - now, this.leaseMs, LONGEST_TIMER_MS)).unref();
  }
}

const present = ({ enrolment, id, identity, agent, session, sinceText }: Presence): Proxy => {
  const { serves, client } = session;
  return {
    enrolment,
    id,
    identity,
    state: 'connected',
    since: sinceText,
    agent,
    ...(serves !== undefined && { serves }),
    client,
  };
};
