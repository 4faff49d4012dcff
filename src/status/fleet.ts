/** All sidecars there are: those that have a stream, and those whose enrolments say that there ought to be one. */
import { byName } from '../model/names.js';
import { steadyNow } from '../model/steady-time.js';
import type { Connection, Roll } from '../stream/ads.js';
import type { Audience } from '../stream/audience.js';
import type { Client, Names, Remnant } from '../stream/client.js';
import type { Session } from '../stream/session.js';
import type { Proxy, ProxyState } from './proxy.js';
import { isWholeAt } from './receipt.js';
import type { Owner } from './remnants.js';
import type { Effect } from './ring.js';
import type { EnrolmentView, Enrolments } from './roster.js';
import { Traces } from './traces.js';

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

/** What may concern a proxy. */
export type Concern = Pick<Effect, 'names' | 'remnants' | 'sequence' | 'isVague'>;

/** A timer for longer than this would end at once. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

export class Fleet implements Roll {
  private readonly connections = new Map<string, Presence>();
  private readonly bySession = new Map<Session, string>();
  private readonly traces = new Traces();
  private readonly listeners = new Set<() => void>();
  private readonly startedAt: number;
  /** Those that may not have said yet what they want, or hold what nobody knows. */
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
      this.traces.keepOnly((enrolment) => this.enrolments.get(enrolment) !== undefined);
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
    const client = before?.session.client;
    session.client.before = (client?.isIntroduced ? client : client?.before) ?? this.traces.get(enrolment)?.earlier;
    const since = this.clock();
    this.connections.set(enrolment, { ...connection, since, sinceText: new Date(since).toISOString() });
    this.bySession.set(session, enrolment);
    this.traces.forget(enrolment);
    this.strangers.add(enrolment);
    this.changed();
    return before;
  }

  /** Notes that a stream has ended. One that was replaced by a newer one is nobody's loss. */
  disconnected({ enrolment, session }: Connection): void {
    this.bySession.delete(session);
    if (this.connections.get(enrolment)?.session !== session) return;
    this.connections.delete(enrolment);
    this.traces.left(enrolment, this.clock(), session.client);
    this.changed();
  }

  /**
   * Notes that the sidecar of a workload has spoken in another way than over its stream: it has a lease to open one, from the
   * first time on that it speaks so.
   */
  heard(id: string): void {
    const enrolment = this.enrolments.holding(id)?.enrolment;
    if (enrolment === undefined || this.connections.has(enrolment)) return;
    if (this.traces.heard(enrolment, this.clock())) this.changed();
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

  /** Since when a sidecar is lost that has not ended, in milliseconds since the epoch; undefined: it is not. */
  lostSince(enrolment: string): number | undefined {
    const view = this.connections.has(enrolment) ? undefined : this.enrolments.get(enrolment);
    if (view?.endedAt !== undefined || !view) return undefined;
    const since = this.lastHeard(view);
    return this.clock() - since < this.leaseMs ? undefined : since;
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

  /** Takes in that `gone` went out of the world at `sequence`, for those who are not told. */
  missed(gone: Names, sequence: number): void {
    if (gone.size === 0) return;
    this.traces.missed(gone, sequence);
    for (const enrolment of this.strangers)
      this.connections.get(enrolment)?.session.client.before?.miss(gone, sequence);
  }

  /** The names of what somebody holds that is `of` a client, as far as it `counts`. */
  remnants(of: (client: Client) => Iterable<Remnant>, counts: (remnant: Remnant, owner: Owner) => boolean): Names {
    const names = new Map<Remnant['type'], Set<string>>();
    for (const [enrolment, client] of this.clients()) {
      let owner: Owner | undefined;
      for (const remnant of of(client)) {
        owner ??= this.ownerOf(enrolment);
        if (!counts(remnant, owner)) continue;
        const { type, name } = remnant;
        names.set(type, (names.get(type) ?? new Set()).add(name));
      }
    }
    return names;
  }

  /**
   * Those that want any of what a revision changed, those that hold what it would have changed if that were still there, and those
   * of whom it is not known.
   */
  concernedBy(effect: Concern, audience: Audience<Session>): Proxy[] {
    const { names, remnants, sequence, isVague } = effect;
    const isBehind = ({ proven }: Client): boolean => isVague && !isWholeAt(sequence, proven);
    const sessions = this.sessionsConcernedBy(effect, audience);
    const concerned = new Set([...sessions].flatMap((session) => this.bySession.get(session) ?? []));
    for (const enrolment of this.away) {
      const client = this.traces.get(enrolment)?.client;
      if (
        !client ||
        client.isInDoubt ||
        isBehind(client) ||
        client.wantsAny(names) ||
        client.isBehindOn(remnants, sequence)
      )
        concerned.add(enrolment);
    }
    return [...concerned].flatMap((enrolment) => this.get(enrolment) ?? []);
  }

  /** Those of `concernedBy` that have a stream. */
  sessionsConcernedBy({ names, remnants, sequence, isVague }: Concern, audience: Audience<Session>): Set<Session> {
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
    for (const some of remnants.values()) {
      for (const name of some)
        for (const session of audience.of(name))
          if (session.client.isBehindOn(remnants, sequence)) sessions.add(session);
    }
    for (const session of audience.ofAll) if (session.client.wantsAny(names)) sessions.add(session);
    for (const enrolment of this.strangers) {
      const session = this.connections.get(enrolment)?.session;
      if (session && (!session.client.isIntroduced || session.client.isInDoubt)) sessions.add(session);
      else this.strangers.delete(enrolment);
    }
    return sessions;
  }

  close(): void {
    clearTimeout(this.nextLapse);
    this.listeners.clear();
  }

  private *clients(): Generator<readonly [enrolment: string, client: Client]> {
    for (const [enrolment, { session }] of this.connections) yield [enrolment, session.client.before ?? session.client];
    yield* this.traces.clients();
  }

  /** Whose sidecar an enrolment is. */
  private ownerOf(enrolment: string): Owner {
    const { id = '', labels = {} } = this.enrolments.get(enrolment) ?? {};
    const [namespace = '', name = ''] = id.split('/');
    return { namespace, name, labels };
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

  /**
   * When the sidecar was last heard of. A server that has just started has seen nobody yet: everybody has a lease to come back who was
   * not lost already.
   */
  private lastHeard({ enrolment, joinedAt, lostSince }: EnrolmentView): number {
    // It may have joined by a clock that was wrong then.
    const at = this.traces.get(enrolment)?.at ?? lostSince ?? Math.max(this.startedAt, joinedAt);
    return Math.min(this.clock(), at);
  }

  private absent(view: EnrolmentView): Proxy {
    const { enrolment, id, identity, endedAt } = view;
    const at = endedAt ?? this.lastHeard(view);
    const client = this.traces.get(enrolment)?.client;
    const serves = client?.proven;
    return {
      enrolment,
      id,
      identity,
      state: endedAt === undefined && this.clock() - at < this.leaseMs ? 'disconnected' : 'lost',
      since: new Date(at).toISOString(),
      ...(serves !== undefined && { serves }),
      ...(client && { client }),
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
