/** What one client wants of one type, and what it holds of that: one entry a name, for there are thousands of clients. */
import type { Ref } from '../model/document.js';

export const WILDCARD = '*';

/** A resource as a client holds it. Mostly the compiled resource itself, shared by all who hold it. */
export interface Held {
  readonly version: string;
  /** The sequence at which that version came into the world; 0 when that is not known. */
  readonly since: number;
  /** See Resource; absent when that is not known: then it may lead anywhere. */
  readonly leadsTo?: readonly string[];
  /** See Resource; absent when that is not known. */
  readonly causes?: readonly Ref[];
}

/** What is known of what somebody holds, without the thing itself: for whoever is away, and may be so for long. */
export function inShort(held: Held): Held {
  const { version, since, leadsTo, causes } = held;
  const short = shortened.get(held) ?? { version, since, ...(leadsTo && { leadsTo }), ...(causes && { causes }) };
  shortened.set(held, short);
  return short;
}

/** All who hold the same share it. */
const shortened = new WeakMap<Held, Held>();

/** What a request asks for, by the delta rules of xDS. */
export interface Asking {
  readonly subscribe: readonly string[];
  readonly unsubscribe: readonly string[];
}

/** What a request came to. */
export interface SubscriptionChange {
  /** Names that must be answered whatever was sent before: asked for, asked for again, or left to the wildcard. */
  readonly asked: readonly string[];
  /** Names that the client drops without being told. */
  readonly dropped: readonly string[];
  /** Says that the wildcard was switched on or off. */
  readonly wildcard?: boolean;
}

export class Subscription {
  /** Without a wildcard these are the names asked for; with one, also those that are held because of it. */
  private readonly entries = new Map<string, Held | undefined>();
  private sum = 0;
  /** The names asked for one by one beside a wildcard. Absent: there is no wildcard. */
  private named: Set<string> | undefined;

  get wildcard(): boolean {
    return this.named !== undefined;
  }

  /** How many names it has an entry for. */
  get size(): number {
    return this.entries.size;
  }

  /** How long the names are together that it has an entry for. */
  get length(): number {
    return this.sum;
  }

  /** Says whether the client wants `name`. */
  covers(name: string): boolean {
    return this.wildcard || this.entries.has(name);
  }

  names(): IterableIterator<string> {
    return this.entries.keys();
  }

  held(name: string): Held | undefined {
    return this.entries.get(name);
  }

  /** Notes that the client holds `name`, if it wants it. */
  hold(name: string, held: Held): void {
    if (this.covers(name)) this.put(name, held);
  }

  /** Notes that the client holds nothing of `name`. */
  release(name: string): void {
    if (this.named && !this.named.has(name)) this.take(name);
    else if (this.entries.has(name)) this.put(name, undefined);
  }

  /**
   * Takes in a request. `first`: it is the first of its type on the stream, where empty lists ask for everything (the
   * legacy wildcard). Unsubscriptions are applied after subscriptions, so that `*` in both asks for nothing.
   */
  change({ subscribe, unsubscribe }: Asking, first: boolean): SubscriptionChange {
    if (first && subscribe.length === 0 && unsubscribe.length === 0) {
      this.openToAll();
      return { asked: [], dropped: [], wildcard: true };
    }
    const before = this.wildcard;
    if (subscribe.includes(WILDCARD)) this.openToAll();
    const added = new Set(subscribe.filter((name) => name !== WILDCARD));
    for (const name of added) this.add(name);
    const removed = unsubscribe.filter((name) => name !== WILDCARD && this.has(name));
    const dropped = unsubscribe.includes(WILDCARD) ? this.closeToAll() : [];
    for (const name of removed) {
      added.delete(name);
      if (this.named) this.named.delete(name);
      else if (this.take(name)) dropped.push(name);
    }
    const wildcard = this.wildcard;
    return {
      asked: [...added, ...(wildcard ? removed : [])],
      dropped,
      ...(wildcard !== before && { wildcard }),
    };
  }

  /** Forgets names that were asked for, and of which nothing is held, unless `isKnown` says otherwise. Gives them. */
  shed(isKnown: (name: string) => boolean): string[] {
    const shed = [...this.entries].flatMap(([name, held]) => (held || isKnown(name) ? [] : name));
    for (const name of shed) {
      this.named?.delete(name);
      this.take(name);
    }
    return shed;
  }

  /** Goes on knowing what is held, and lets go of it. */
  lighten(): void {
    for (const [name, held] of this.entries) if (held) this.entries.set(name, inShort(held));
  }

  /** Says whether `name` was asked for by itself. */
  has(name: string): boolean {
    return this.named ? this.named.has(name) : this.entries.has(name);
  }

  private add(name: string): void {
    this.named?.add(name);
    if (!this.entries.has(name)) this.put(name, undefined);
  }

  private openToAll(): void {
    this.named ??= new Set(this.entries.keys());
  }

  /** Drops what is held because of the wildcard alone, and says what that was. */
  private closeToAll(): string[] {
    const { named } = this;
    if (!named) return [];
    this.named = undefined;
    const dropped = [...this.entries.keys()].filter((name) => !named.has(name));
    for (const name of dropped) this.take(name);
    return dropped;
  }

  private put(name: string, held: Held | undefined): void {
    if (!this.entries.has(name)) this.sum += name.length;
    this.entries.set(name, held);
  }

  private take(name: string): boolean {
    const was = this.entries.delete(name);
    if (was) this.sum -= name.length;
    return was;
  }
}
