/**
 * What one client of the aggregated stream has been told, and what it is told next. A state machine over plain values:
 * it knows no transport and no clock, and its methods return what must be sent.
 *
 * It speaks in rounds. A round begins when there is news and none is under way: all that is new then is sent as it is
 * then, clusters before endpoints before listeners before routes. When that has been answered, what had gone out of the
 * world by then is taken away in the opposite order (make before break). When that is answered too, the client has the
 * world of that moment whole, and the next round may begin at once. So however fast the world changes and however slowly
 * a client answers, every change is in force there two rounds later at the latest.
 *
 * The other rules, by their names in the xDS protocol documents: one response in flight per type; ACK and NACK by nonce
 * alone; what a client asks for anew is answered aside from the rounds, because its next ACK may wait for it; a refused
 * resource is not sent again until its content changes or something that it leads to is mended; nothing is sent that the
 * client holds already.
 */
import type { Publication } from '../compile/compiler.js';
import { TYPES, TYPE_ORDER, USERS, type Resource, type TypeUrl } from '../compile/resource.js';
import type { ResourceTable } from '../compile/table.js';
import type { Audience } from './audience.js';
import { Client } from './client.js';
import { SessionViolation, type DeltaRequest, type DeltaResponse } from './delta.js';
import { MAX_VERSION_LENGTH, brief, expectFew, expectShort } from './limits.js';
import { NEEDS, additionsOf, removalsOf } from './round.js';
import type { Held } from './subscription.js';
import { fitting, type Queue, type TypeState } from './type-state.js';

/** What all sessions share. */
export interface Shared {
  readonly table: ResourceTable;
  /** The sequence up to which every session has been told what concerns it. */
  readonly told: number;
  readonly audience: Audience<Session>;
  /** Says whether `name` may concern the client: what may not does not exist for it, and nobody tells it of that or counts it. */
  mayConcern(name: string): boolean;
}

const REMOVAL_ORDER: readonly TypeUrl[] = [...TYPE_ORDER].reverse();

export class Session {
  readonly client: Client;
  /** The sequence of the newest publication that it was told of. */
  heard = 0;
  private nonces = 0;
  /** The sequence that the round under way is of. */
  private round: number | undefined;
  /** Says that what the client holds from an earlier stream has come to light since the round began. */
  private hasStaleNews = false;
  private isOpen = true;
  /** Nothing of what has gone and is still there may be taken away, as far as was seen last. */
  private isKept = false;

  /** @param announced types that the client is going to ask for, see Client */
  constructor(
    private readonly shared: Shared,
    announced: readonly TypeUrl[] = [],
  ) {
    this.client = new Client(shared.table, announced, (name) => shared.mayConcern(name));
  }

  /** The newest sequence that the client has whole, apart from what it refuses; undefined until it has one. */
  get serves(): number | undefined {
    const isUpToDate = this.isOpen && this.round === undefined && !this.hasSomethingToSay && this.client.isIntroduced;
    return isUpToDate ? Math.max(this.client.proven ?? 0, this.shared.told) : this.client.proven;
  }

  /** When the oldest unanswered response was sent, in the clock of the caller. */
  get waitingSince(): number | undefined {
    const since = [...this.client.types.values()].flatMap(({ inFlight }) => inFlight?.since ?? []);
    return since.length > 0 ? Math.min(...since) : undefined;
  }

  /** Takes in what a newer world changed. Nothing is said of it before `speak`. */
  tell({ sequence, changed }: Publication): void {
    this.client.proven = this.serves;
    this.heard = sequence;
    this.isKept = false;
    for (const [type, names] of changed) {
      const state = this.client.stateOf(type);
      for (const name of this.client.wanted(type, names)) {
        const current = this.shared.table.get(type, name);
        if (current && state.hasAlready(current)) continue;
        state.note(name, 'changed');
        if (!current && state.mayHold(name)) state.lose(name, sequence);
      }
    }
  }

  /** Says whether the client has asked for anything of `type`, if it is a type at all. */
  hasOpened(type: string): boolean {
    return TYPE_ORDER.some((known) => known === type && this.client.stateOf(known).opened);
  }

  /** Says whether `request` answers what the client was told last of its type: all else is stale. */
  isWaitingFor({ type, nonce }: Pick<DeltaRequest, 'type' | 'nonce'>): boolean {
    const known = TYPE_ORDER.find((one) => one === type);
    return known !== undefined && this.client.stateOf(known).inFlight?.response.nonce === nonce;
  }

  /** Takes in a request of the client. Throws SessionViolation. A type that nobody here speaks is left unanswered. */
  receive(request: DeltaRequest, now: number): DeltaResponse[] {
    const type = TYPE_ORDER.find((known) => known === request.type);
    if (request.type === '') throw new SessionViolation('a request on an aggregated stream must name its type_url');
    if (!type) return [];
    const state = this.client.stateOf(type);
    const first = !state.opened;
    this.client.proven = this.serves;
    state.opened = true;
    this.settle(type, state, request, now);
    this.subscribe(type, state, request, first);
    return this.speak(now);
  }

  /** What may be sent now. */
  speak(now: number): DeltaResponse[] {
    const said: DeltaResponse[] = [];
    while (this.round !== undefined || this.hasSomethingToSay) {
      this.round ??= this.begin();
      this.add(said, now);
      const isOver = !this.isWaiting && !this.remove(said, now);
      this.answerAside(said, now);
      if (!isOver || this.isWaiting) break;
      if (this.client.isIntroduced && !this.hasStaleNews)
        this.client.proven = Math.max(this.client.proven ?? 0, this.round);
      this.round = undefined;
    }
    return said;
  }

  /** Hears of no change any more. What it wants and holds stays known: its client goes on with that. */
  close(): void {
    this.client.proven = this.serves;
    this.isOpen = false;
    this.shared.audience.leaveAll(this);
    const { table, audience } = this.shared;
    for (const [type, state] of this.client.types) {
      const shed = state.shed((name) => table.get(type, name) !== undefined);
      for (const name of [...shed, ...state.subscription.names()]) audience.leave(name, this);
      state.lighten();
    }
  }

  /** An ACK or NACK of what is in flight. Any other nonce is stale: it answers nothing, its subscriptions count. */
  private settle(type: TypeUrl, state: TypeState, { nonce, error }: DeltaRequest, at: number): void {
    const { inFlight, subscription } = state;
    if (inFlight?.response.nonce !== nonce) return;
    state.inFlight = undefined;
    this.isKept = false;
    const reasons = new Map(error?.resources?.map(({ name, reason }) => [name, brief(reason)]));
    const isOfNone = [...reasons.keys()].every((name) => !inFlight.carries.has(name));
    const all = error && isOfNone ? brief(error.message) : undefined;
    for (const [name, resource] of inFlight.carries) {
      const reason = all ?? reasons.get(name);
      if (!subscription.covers(name)) continue;
      if (reason !== undefined && (resource || subscription.held(name))) {
        const { version, since } = resource ?? { version: '', since: state.gone.get(name) };
        // What is there again by now is on its way.
        if (since !== undefined) state.refused.set(name, { type, name, version, since, reason, at });
      } else if (resource) this.hold(type, state, name, resource);
      else this.release(state, name);
      if (!resource || this.shared.table.get(type, name)) continue;
      if (subscription.held(name)) state.lose(name, this.shared.table.sequence);
      else {
        state.gone.delete(name);
        state.note(name, 'owed');
      }
    }
  }

  private release(state: TypeState, name: string): void {
    state.subscription.release(name);
    state.refused.delete(name);
    if (!state.mayHold(name)) state.gone.delete(name);
  }

  /** Notes what is in force. What was refused may have been so because this was missing or refused itself. */
  private hold(type: TypeUrl, state: TypeState, name: string, resource: Held): void {
    const before = state.subscription.held(name);
    const wasRefused = state.refused.delete(name);
    state.subscription.hold(name, resource);
    const isChanged = type === TYPES.cluster && before?.version !== resource.version;
    if (before && !wasRefused && !isChanged) return;
    for (const user of USERS[type]) {
      const users = this.client.stateOf(user);
      for (const refused of users.refused.keys()) users.note(refused, 'owed');
    }
  }

  private subscribe(type: TypeUrl, state: TypeState, request: DeltaRequest, first: boolean): void {
    const { subscription } = state;
    const { table, audience } = this.shared;
    for (const name of request.subscribe) expectShort(type, name);
    if (first || request.subscribe.length + request.unsubscribe.length > 0) this.isKept = false;
    // By the string that everybody else has: there are hundreds of names, and thousands of clients.
    const shared = request.subscribe.map((name) => table.get(type, name)?.name ?? name);
    const { asked, dropped, wildcard } = subscription.change({ ...request, subscribe: shared }, first);
    expectFew(type, subscription);
    for (const name of dropped) state.forget(name);
    for (const name of dropped) if (!this.client.asksFor(name)) audience.leave(name, this);
    for (const name of asked) {
      state.note(name, 'owed');
      if (this.shared.mayConcern(name)) audience.join(name, this);
    }
    if (wildcard === true) {
      audience.joinAll(this);
      for (const name of table.names(type)) state.note(name, 'changed');
    }
    if (wildcard === false && ![...this.client.types.values()].some((other) => other.subscription.wildcard)) {
      audience.leaveAll(this);
    }
    if (first) this.remember(type, state, request.initialVersions);
    if (this.client.isIntroduced) this.client.before = undefined;
    if (this.hasStaleNews) this.client.proven = undefined;
  }

  /** Takes in what the client says that it holds from an earlier stream: an answer is owed only where that is not the newest. */
  private remember(type: TypeUrl, state: TypeState, versions: Readonly<Record<string, string>>): void {
    const { table } = this.shared;
    state.owesAnswer = state.subscription.wildcard;
    for (const [name, said] of Object.entries(versions)) {
      if (!state.subscription.covers(name)) continue;
      const version = said.length > MAX_VERSION_LENGTH ? '' : said;
      const current = table.get(type, name);
      state.news.delete(name);
      const earlier = this.client.recalled(type, name, version) ?? { version, since: 0 };
      state.subscription.hold(name, current?.version === version ? current : earlier);
      if (current?.version !== version) this.hasStaleNews = true;
      if (!current) state.lose(name, table.sequence);
      else if (current.version !== version) state.note(name, 'changed');
    }
  }

  /** Puts together what is new now, and gives the sequence of which that is. */
  private begin(): number {
    const { table } = this.shared;
    this.hasStaleNews = false;
    for (const [type, state] of this.client.inOrder) {
      const queue = additionsOf(type, state, state.news.keys(), table);
      state.news.clear();
      if (state.owesAnswer || queue.resources.length + queue.absent.length > 0) state.queue = queue;
      if (type === TYPES.cluster) this.rewarm(queue.resources);
    }
    return table.sequence;
  }

  /** Clusters before endpoints before listeners before routes: a type waits while one before it has more to say. */
  private add(said: DeltaResponse[], now: number): void {
    for (const [type, state] of this.client.inOrder) {
      while (state.queue) {
        if (state.inFlight) return;
        const { resources, absent } = state.take();
        if (state.owesAnswer || resources.length + absent.length > 0) {
          said.push(this.send(type, state, resources, absent, now, true));
        }
      }
    }
  }

  /** Routes before listeners before endpoints before clusters. Says whether there is more to take away than may be now. */
  private remove(said: DeltaResponse[], now: number): boolean {
    for (const type of REMOVAL_ORDER) {
      const state = this.client.stateOf(type);
      if (state.gone.size === 0) continue;
      const due = removalsOf(state, this.round ?? 0).filter((name) => this.client.mayRemove(type, name));
      if (due.length === 0) continue;
      if (state.inFlight) return true;
      const { some } = fitting(due, ({ length }) => length);
      said.push(this.send(type, state, [], some, now, true));
      if (some.length < due.length) return true;
    }
    return false;
  }

  /** Answers what is owed while a round is under way, where that cannot lead a client to what it has not been told of. */
  private answerAside(said: DeltaResponse[], now: number): void {
    if (!this.client.hasNews) return;
    for (const [type, state] of this.client.inOrder) {
      if (state.inFlight || state.queue) continue;
      if (NEEDS[type].some((other) => this.client.stateOf(other).queue || this.client.stateOf(other).hasNews)) continue;
      const names = this.owed(type, state);
      if (names.length === 0) continue;
      state.queue = additionsOf(type, state, names, this.shared.table);
      for (const name of names) state.news.delete(name);
      const { resources, absent } = state.take();
      for (const { name } of state.queue?.resources ?? []) state.note(name, 'owed');
      for (const name of state.queue?.absent ?? []) state.note(name, 'owed');
      state.queue = undefined;
      if (resources.length + absent.length === 0) continue;
      const isOfRound = resources.some(({ name }) => state.subscription.held(name));
      said.push(this.send(type, state, resources, absent, now, isOfRound));
      if (type === TYPES.cluster) this.rewarm(resources);
    }
  }

  /** Names that an answer is owed to. Endpoints go out only after what is new of their cluster, which is owed therefore. */
  private owed(type: TypeUrl, state: TypeState): string[] {
    const owed = ({ news }: TypeState) => [...news].filter(([, why]) => why === 'owed').map(([name]) => name);
    const [clusters, endpoints] = [this.client.stateOf(TYPES.cluster), this.client.stateOf(TYPES.endpoints)];
    if (type === TYPES.cluster) {
      // By what is new of clusters: all that is new of endpoints may be much, and waiting for an answer.
      return [...clusters.news].flatMap(([name, why]) =>
        why === 'owed' || endpoints.news.get(name) === 'owed' ? name : [],
      );
    }
    if (type !== TYPES.endpoints) return owed(state);
    return clusters.queue ? [] : owed(state).filter((name) => !clusters.news.has(name));
  }

  /** A cluster that is sent again waits for its endpoints to be sent again, even if those are the same. */
  private rewarm(clusters: readonly Resource[]): void {
    const endpoints = this.client.stateOf(TYPES.endpoints);
    for (const { name } of clusters) {
      if (endpoints.subscription.covers(name) && this.shared.table.get(TYPES.endpoints, name)) {
        endpoints.note(name, 'owed');
      }
    }
  }

  private send(
    type: TypeUrl,
    state: TypeState,
    resources: Queue['resources'],
    removed: readonly string[],
    since: number,
    ofRound: boolean,
  ): DeltaResponse {
    this.nonces += 1;
    const nonce = String(this.nonces);
    const response = { type, nonce, sequence: this.shared.table.sequence, resources, removed };
    const carries = new Map<string, Held | undefined>(resources.map((resource) => [resource.name, resource]));
    for (const name of removed) carries.set(name, undefined);
    state.inFlight = { response, since, carries, ofRound };
    state.owesAnswer = false;
    return response;
  }

  /** Says whether part of the round is unsent or unanswered. */
  private get isWaiting(): boolean {
    return this.client.inOrder.some(([, { queue, inFlight }]) => queue !== undefined || inFlight?.ofRound === true);
  }

  private get hasSomethingToSay(): boolean {
    if (this.client.hasNews) return true;
    for (const [type, { gone }] of this.isKept ? [] : this.client.inOrder) {
      if (gone.size === 0) continue;
      for (const name of gone.keys()) if (this.client.mayRemove(type, name)) return true;
    }
    this.isKept = true;
    return false;
  }
}
