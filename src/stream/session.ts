/**
 * What one client of the aggregated stream has been told, and what it is told next. A state machine over plain values:
 * it knows no transport and no clock, and every method returns what must be sent.
 *
 * The rules, by their names in the xDS protocol documents: one response in flight per type; ACK and NACK by nonce
 * alone; additions before their users and removals after (make before break); a refused resource is not sent again
 * until its content changes; nothing is sent that the client holds already.
 */
import { TYPES, TYPE_ORDER, USERS, type Resource, type TypeUrl } from '../compile/resource.js';
import { SessionViolation, type DeltaRequest, type DeltaResponse, type Published, type Refusal } from './delta.js';
import { NOTHING, covers, subscribe, type Subscription } from './subscription.js';

/** How many resources of one type a client may ask for by name. */
const MAX_NAMES = 50_000;

/** A response that is neither acknowledged nor refused yet. */
interface InFlight {
  readonly response: DeltaResponse;
  readonly since: number;
  /** What the client will hold of it, by name; a name that it takes away stands for nothing. */
  readonly versions: ReadonlyMap<string, string | undefined>;
}

/** What is known of one client and one type. */
class TypeState {
  opened = false;
  subscription: Subscription = NOTHING;
  /** What the client has said or acknowledged that it holds, by version. */
  readonly held = new Map<string, string>();
  inFlight: InFlight | undefined;
  /** Names to be answered even if nothing about them changed. */
  readonly due = new Set<string>();
  /** Names whose absence the client knows of. */
  readonly knownAbsent = new Set<string>();
  readonly refused = new Map<string, Refusal>();
  /** The first wildcard request is answered even when there is nothing to say. */
  owesAnswer = false;

  forget(name: string): void {
    this.held.delete(name);
    this.due.delete(name);
    this.knownAbsent.delete(name);
    this.refused.delete(name);
  }
}

export class Session {
  private readonly types = new Map<TypeUrl, TypeState>(TYPE_ORDER.map((type) => [type, new TypeState()]));
  private nonces = 0;
  private served: number | undefined;

  /**
   * @param announced types that the client asks for before it can be said to have anything: until it has, an absent
   *   request must not pass for "wants nothing of it".
   */
  constructor(
    private published: Published,
    private readonly announced: readonly TypeUrl[] = [],
  ) {}

  /** The newest revision that the client has whole; undefined until it has one. */
  get serves(): number | undefined {
    return this.served;
  }

  /** What the client refuses of the mesh as it is now; of what has changed since it refused it, nothing is known yet. */
  get refusals(): readonly Refusal[] {
    return [...this.types].flatMap(([type, { refused }]) =>
      [...refused.values()].filter(({ name, version }) => this.resourcesOf(type).get(name)?.version === version),
    );
  }

  /** The names of what the client holds, by type. */
  get holds(): ReadonlyMap<TypeUrl, readonly string[]> {
    return new Map([...this.types].map(([type, { held }]) => [type, [...held.keys()].sort()]));
  }

  /** When the oldest unanswered response was sent, in the clock of the caller. */
  get waitingSince(): number | undefined {
    const since = [...this.types.values()].flatMap(({ inFlight }) => inFlight?.since ?? []);
    return since.length > 0 ? Math.min(...since) : undefined;
  }

  /** Takes in a newer mesh. */
  publish(published: Published, now: number): DeltaResponse[] {
    this.published = published;
    for (const [type, { refused, held }] of this.types) {
      for (const name of refused.keys()) {
        if (held.has(name) && held.get(name) === this.resourcesOf(type).get(name)?.version) refused.delete(name);
      }
    }
    return this.advance(now);
  }

  /** Takes in a request of the client. Throws SessionViolation. A type that nobody here speaks is left unanswered. */
  receive(request: DeltaRequest, now: number): DeltaResponse[] {
    const type = TYPE_ORDER.find((known) => known === request.type);
    if (request.type === '') throw new SessionViolation('a request on an aggregated stream must name its type_url');
    if (!type) return [];
    const state = this.stateOf(type);
    const first = !state.opened;
    state.opened = true;
    this.settle(type, state, request, now);
    this.resubscribe(state, request, first);
    return this.advance(now);
  }

  /** An ACK or NACK of what is in flight. Any other nonce is stale: it answers nothing, its subscriptions count. */
  private settle(type: TypeUrl, state: TypeState, { nonce, error }: DeltaRequest, at: number): void {
    const response = state.inFlight?.response;
    if (response?.nonce !== nonce) return;
    state.inFlight = undefined;
    const reasons = new Map(error?.resources?.map(({ name, reason }) => [name, reason]));
    const all = error && reasons.size === 0 ? error.message : undefined;
    for (const { name, version } of response.resources) {
      const reason = all ?? reasons.get(name);
      if (!covers(state.subscription, name)) continue;
      if (reason === undefined) {
        state.held.set(name, version);
        state.refused.delete(name);
      } else {
        state.refused.set(name, { type, name, version, reason, at });
        // It may have asked only now for what has long been so: then it is not true any more that it has all of it.
        this.served &&= Math.min(this.served, this.published.revision - 1);
      }
    }
    for (const name of response.removed) {
      state.held.delete(name);
      state.refused.delete(name);
    }
  }

  private resubscribe(state: TypeState, request: DeltaRequest, first: boolean): void {
    const { subscription, answer, dropped } = subscribe(state.subscription, request, first);
    if (subscription.names.size > MAX_NAMES) {
      throw new SessionViolation(`more than ${MAX_NAMES} names of ${request.type} were subscribed to`);
    }
    const leftWildcard = state.subscription.wildcard && !subscription.wildcard;
    state.subscription = subscription;
    for (const name of dropped) state.forget(name);
    if (leftWildcard) for (const name of [...state.held.keys()]) if (!covers(subscription, name)) state.forget(name);
    for (const name of answer) {
      state.due.add(name);
      state.knownAbsent.delete(name);
    }
    if (!first) return;
    state.owesAnswer = subscription.wildcard;
    for (const [name, version] of Object.entries(request.initialVersions)) {
      if (!covers(subscription, name)) continue;
      state.held.set(name, version);
      // It says that it has it, so an answer is owed only if that is not the newest.
      state.due.delete(name);
    }
  }

  /** Sends what may be sent now, and notes what the client has come to serve. */
  private advance(now: number): DeltaResponse[] {
    const responses = [...this.additions(now), ...this.removals(now)];
    if (this.isSettled()) this.served = this.published.revision;
    return responses;
  }

  /** Clusters before endpoints before listeners before routes: a type waits while one before it has more to say. */
  private additions(now: number): DeltaResponse[] {
    const responses: DeltaResponse[] = [];
    for (const type of TYPE_ORDER) {
      const state = this.stateOf(type);
      const { resources, absent } = this.unsent(type, state);
      if (resources.length === 0 && absent.length === 0 && !state.owesAnswer) continue;
      if (state.inFlight) break;
      responses.push(this.send(type, state, resources, absent, now));
      if (type === TYPES.cluster) this.rewarm(resources);
    }
    return responses;
  }

  /**
   * Routes and listeners before endpoints and clusters, each when everything before it has been acknowledged. Where a
   * refusal leaves an old one in force, what that may use stays.
   */
  private removals(now: number): DeltaResponse[] {
    const refused = new Set(this.refusals.map(({ type }) => type));
    for (const type of [...TYPE_ORDER].reverse()) {
      if (this.isWaiting()) return [];
      if (USERS[type].some((user) => refused.has(user))) continue;
      const state = this.stateOf(type);
      const gone = this.gone(type, state);
      if (gone.length > 0) return [this.send(type, state, [], gone, now)];
    }
    return [];
  }

  /** A cluster that is sent again waits for its endpoints to be sent again, even if those are the same. */
  private rewarm(clusters: readonly Resource[]): void {
    const endpoints = this.stateOf(TYPES.endpoints);
    for (const { name } of clusters) if (covers(endpoints.subscription, name)) endpoints.due.add(name);
  }

  private send(
    type: TypeUrl,
    state: TypeState,
    resources: readonly Resource[],
    removed: readonly string[],
    since: number,
  ): DeltaResponse {
    this.nonces += 1;
    const response = { type, nonce: String(this.nonces), revision: this.published.revision, resources, removed };
    const gone = removed.map((name) => [name, undefined] as const);
    const versions = new Map([...resources.map(({ name, version }) => [name, version] as const), ...gone]);
    state.inFlight = { response, since, versions };
    state.owesAnswer = false;
    for (const { name } of resources) {
      state.due.delete(name);
      state.knownAbsent.delete(name);
    }
    for (const name of removed) {
      state.due.delete(name);
      state.knownAbsent.add(name);
    }
    return response;
  }

  /** What the client asked for and has not been sent: resources, and names of which it must learn that there is none. */
  private unsent(type: TypeUrl, state: TypeState): { resources: Resource[]; absent: string[] } {
    const resources: Resource[] = [];
    const absent: string[] = [];
    const known = this.resourcesOf(type);
    for (const name of state.subscription.wildcard
      ? new Set([...known.keys(), ...state.due])
      : state.subscription.names) {
      const resource = known.get(name);
      if (resource) {
        if (this.isNews(state, resource)) resources.push(resource);
      } else if (!state.held.has(name) && !state.knownAbsent.has(name)) {
        absent.push(name);
      }
    }
    return { resources, absent };
  }

  private isNews({ refused, inFlight, held, due }: TypeState, { name, version }: Resource): boolean {
    if (refused.get(name)?.version === version) return false;
    const has = inFlight?.versions.has(name) ? inFlight.versions.get(name) : held.get(name);
    return due.has(name) || has !== version;
  }

  /** What the client holds and must give up, because it does not exist any more. */
  private gone(type: TypeUrl, state: TypeState): string[] {
    const known = this.resourcesOf(type);
    return [...state.held.keys()].filter((name) => !known.has(name));
  }

  private isWaiting(): boolean {
    return [...this.types.values()].some(({ inFlight }) => inFlight !== undefined);
  }

  /** Called when all that may be sent has been: then what nobody waits for is known to be in force. */
  private isSettled(): boolean {
    const opened = [...this.types].filter(([, state]) => state.opened).map(([type]) => type);
    return (
      opened.length > 0 &&
      this.announced.every((type) => opened.includes(type)) &&
      !this.isWaiting() &&
      this.refusals.length === 0
    );
  }

  private stateOf(type: TypeUrl): TypeState {
    const state = this.types.get(type);
    if (!state) throw new Error(`no state for ${type}`);
    return state;
  }

  private resourcesOf(type: TypeUrl): ReadonlyMap<string, Resource> {
    return this.published.resources.get(type) ?? NO_RESOURCES;
  }
}

const NO_RESOURCES: ReadonlyMap<string, Resource> = new Map();
