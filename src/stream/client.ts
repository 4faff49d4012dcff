/** What is known of one client: what it wants, what it holds, what it refuses. It outlives the stream that it was learned on. */
import type { Publication } from '../compile/compiler.js';
import { NEXT, TYPE_ORDER, USERS, type TypeUrl } from '../compile/resource.js';
import type { ResourceTable } from '../compile/table.js';
import type { Ref } from '../model/document.js';
import type { Refusal } from './delta.js';
import type { Held } from './subscription.js';
import { TypeState } from './type-state.js';

/** Names of resources by type. */
export type Names = Publication['changed'];

/** Something that a client holds, or may hold, of what there is no more. */
export interface Remnant {
  readonly type: TypeUrl;
  readonly name: string;
  /** What it was made of; absent when that is not known. */
  readonly causes?: readonly Ref[] | undefined;
}

/**
 * Whether what became of a name is in force at the client. unwanted: it does not want to know. pending: it has not
 * confirmed it. A refusal: it keeps something older because it would not take this one.
 */
export type Proof = 'unwanted' | 'held' | 'pending' | Refusal;

export class Client {
  readonly types: ReadonlyMap<TypeUrl, TypeState> = new Map(TYPE_ORDER.map((type) => [type, new TypeState()]));
  /** The same to go through: that is done several times for each client and change. */
  readonly inOrder: readonly (readonly [TypeUrl, TypeState])[] = [...this.types];

  /** The newest sequence that the client has been known to have whole, apart from what it refuses. */
  proven: number | undefined;

  /** What is known from its stream before, until it has said what it wants on this one. */
  before: Client | undefined;

  /**
   * @param announced types that the client asks for before it can be said to have anything: until it has, an absent
   *   request must not pass for "wants nothing of it".
   * @param mayConcern whether a name that it asks for counts as wanted
   */
  constructor(
    private readonly table: ResourceTable,
    private readonly announced: readonly TypeUrl[],
    private readonly mayConcern: (name: string) => boolean,
  ) {}

  stateOf(type: TypeUrl): TypeState {
    const state = this.types.get(type);
    if (!state) throw new Error(`no state for ${type}`);
    return state;
  }

  /** Says whether it is known what the client wants. */
  get isIntroduced(): boolean {
    const opened = (type: TypeUrl): boolean => this.stateOf(type).opened;
    return this.announced.length > 0 ? this.announced.every(opened) : TYPE_ORDER.some(opened);
  }

  /** Says whether there may be something new to say of any name. */
  get hasNews(): boolean {
    return this.inOrder.some(([, { hasNews }]) => hasNews);
  }

  /** What the client would not take of what there is, and does without; and what it would not give up of what there is no more. */
  get refusals(): readonly Refusal[] {
    const all = [...this.types.values()].flatMap(({ refused }) => [...refused.values()]);
    return all.filter(({ type, name, version }) => (this.table.get(type, name) === undefined) === (version === ''));
  }

  /** The names of what the client holds, by type. */
  get holds(): ReadonlyMap<TypeUrl, readonly string[]> {
    const held = ({ subscription }: TypeState) => [...subscription.names()].filter((name) => subscription.held(name));
    return new Map([...this.types].map(([type, state]) => [type, held(state).sort()]));
  }

  /** What is known from the stream before of a version that the client holds from then. */
  recalled(type: TypeUrl, name: string, version: string): Held | undefined {
    const { subscription, inFlight } = this.before?.stateOf(type) ?? {};
    return [subscription?.held(name), inFlight?.carries.get(name)].find((held) => held?.version === version);
  }

  /** What the client holds, or may hold, of what there is no more; `goneNow` it may not have been told of. */
  *remnants(goneNow?: Names): Generator<Remnant, void> {
    for (const [type, state] of this.inOrder) {
      for (const name of state.gone.keys()) if (!this.table.get(type, name)) yield* this.remnantsOf(type, name);
    }
    for (const [type, names] of goneNow ?? []) {
      for (const name of this.wanted(type, names)) yield* this.remnantsOf(type, name);
    }
  }

  private *remnantsOf(type: TypeUrl, name: string): Generator<Remnant, void> {
    for (const { causes } of this.stateOf(type).versions(name)) yield { type, name, causes };
  }

  /** Says whether the client holds what there is no more, and of which it is not known what it was. */
  get isInDoubt(): boolean {
    for (const { type, name, causes } of this.remnants())
      if (causes === undefined && !this.stateOf(type).isClungTo(name)) return true;
    return false;
  }

  /** The same, and what it goes on with because it would not take what came after it. */
  *outdated(): Generator<Remnant, void> {
    yield* this.remnants();
    for (const [type, state] of this.inOrder) {
      for (const [{ name }, { causes }] of state.outdated()) yield { type, name, causes };
    }
  }

  /** Says whether anything that is older than what became of one of `names` at `sequence` is in force at the client. */
  isBehindOn(names: Names, sequence: number): boolean {
    return [...names].some(([type, some]) =>
      [...this.wanted(type, some)].some((name) => this.proof(type, name, sequence) !== 'held'),
    );
  }

  /** Notes what of `names`, which went out of the world at `sequence`, the client may hold that is not told of it. */
  miss(names: Names, sequence: number): void {
    for (const [type, some] of names) {
      const state = this.stateOf(type);
      for (const name of this.wanted(type, some)) if (state.mayHold(name)) state.lose(name, sequence);
    }
  }

  /** Those of `names` that the client wants, at the cost of the fewer. */
  *wanted(type: TypeUrl, names: ReadonlySet<string>): Generator<string, void> {
    const { subscription } = this.stateOf(type);
    if (subscription.wildcard || names.size <= subscription.size) {
      for (const name of names) if (subscription.covers(name) && this.mayConcern(name)) yield name;
    } else {
      for (const name of subscription.names()) if (names.has(name) && this.mayConcern(name)) yield name;
    }
  }

  /** Says whether the client wants any of `names`. */
  wantsAny(names: Names): boolean {
    return [...names].some(([type, some]) => !this.wanted(type, some).next().done);
  }

  /** Says whether the client asks for `name`, of whatever type. */
  asksFor(name: string): boolean {
    for (const { subscription } of this.types.values()) if (subscription.has(name)) return true;
    return false;
  }

  /** Says whether what became of `name` at `sequence`, or something newer, is in force at the client. */
  proof(type: TypeUrl, name: string, sequence: number): Proof {
    const { subscription, refused, inFlight, news, gone } = this.stateOf(type);
    if (!subscription.covers(name)) return 'unwanted';
    if (news.get(name) === 'owed') return 'pending';
    const current = this.table.get(type, name);
    const held = subscription.held(name);
    const isNewEnough = ({ since, version }: Held): boolean =>
      since >= sequence || (version === current?.version && !refused.has(name));
    // Of what has gone, or has been replaced already, it is enough that the client has nothing that is older.
    const isLater = (resource: Held | undefined): boolean => !resource || resource.since > sequence;
    // It acknowledges after the swap, and its acknowledgement may be lost: what is in flight is in force there, or what was before.
    const flying = inFlight?.carries.get(name);
    const isSafe = !inFlight?.carries.has(name) || (flying ? isNewEnough(flying) : isLater(current));
    if (held && isNewEnough(held) && isSafe) return 'held';
    const refusal = refused.get(name);
    if (refusal && (sequence <= refusal.since || refusal.version === (current?.version ?? ''))) return refusal;
    const kept = sequence >= (gone.get(name) ?? Infinity) ? this.keptBy(type, name) : undefined;
    if (kept) return kept;
    // It has had that whole, short of what it would not take.
    if (held && sequence <= (this.proven ?? 0)) return refusal ?? 'held';
    return !held && isLater(flying) && isLater(current) ? 'held' : 'pending';
  }

  /** Says whether `name`, which exists no more, may be taken away: not before it is known what the client wants, and once. */
  mayRemove(type: TypeUrl, name: string): boolean {
    return this.isIntroduced && !this.stateOf(type).isClungTo(name) && !this.keptBy(type, name);
  }

  /** The refusal because of which `name` is kept, which exists no more: something older is in force there, and may use it. */
  private keptBy(type: TypeUrl, name: string): Refusal | undefined {
    for (const user of USERS[type]) {
      for (const [refusal, held] of this.stateOf(user).outdated()) {
        if (this.leads(user, held, type, name)) return refusal;
      }
    }
    return undefined;
  }

  /** Says whether `held`, of the type `from`, may lead to `name`, by way of what the client holds. */
  private leads(from: TypeUrl, { leadsTo }: Held, type: TypeUrl, name: string): boolean {
    const next = NEXT[from];
    if (!leadsTo || !next) return true;
    if (next === type) return leadsTo.includes(name);
    const { subscription } = this.stateOf(next);
    return leadsTo.some((through) => {
      const held = subscription.held(through);
      return held !== undefined && this.leads(next, held, type, name);
    });
  }
}
