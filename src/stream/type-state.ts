/** What is known of one client and one type of resource. */
import type { Resource } from '../compile/resource.js';
import type { DeltaResponse, Refusal } from './delta.js';
import { MAX_REMEMBERED_LENGTH, RESPONSE_LIMIT } from './limits.js';
import { Subscription, inShort, type Held } from './subscription.js';

/** Why a name is looked at: something about it changed, or an answer is owed even if nothing did. */
export type News = 'changed' | 'owed';

/** A response that is neither acknowledged nor refused yet. */
export interface InFlight {
  readonly response: DeltaResponse;
  /** When it was sent, in the clock of the caller. */
  readonly since: number;
  /** What it carries, by name; a name that it takes away stands for nothing. */
  readonly carries: Map<string, Held | undefined>;
  /** Says that the round is not over before this is answered. */
  readonly ofRound: boolean;
}

/** What is still to be sent: resources as they were when it was put together, so that those of all types fit together. */
export interface Queue {
  readonly resources: readonly Resource[];
  /** Names that the client asked for and that do not exist. */
  readonly absent: readonly string[];
}

export class TypeState {
  opened = false;
  readonly subscription = new Subscription();
  /** Names that there may be something to say of. */
  readonly news = new Map<string, News>();
  /** Names that the client holds, or may as they are on their way, and that went out of the world, with the sequence at which they did. */
  readonly gone = new Map<string, number>();
  readonly refused = new Map<string, Refusal>();
  /** What of the round has not been sent yet. */
  queue: Queue | undefined;
  inFlight: InFlight | undefined;
  /** The first wildcard request is answered even when there is nothing to say. */
  owesAnswer = false;

  get hasNews(): boolean {
    return this.news.size > 0 || this.owesAnswer;
  }

  note(name: string, news: News): void {
    if (news === 'owed' || !this.news.has(name)) this.news.set(name, news);
  }

  /** What the client holds of `name`, and what it may hold or come to: that which is on its way, or about to be. */
  *versions(name: string): Generator<Held, void> {
    const queued = this.queue?.resources.find((resource) => resource.name === name);
    for (const version of [this.subscription.held(name), this.inFlight?.carries.get(name), queued])
      if (version) yield version;
  }

  mayHold(name: string): boolean {
    return this.versions(name).next().value !== undefined;
  }

  /** Notes that what the client holds went out of the world. It may have come back and gone again before it could be told. */
  lose(name: string, sequence: number): void {
    if (!this.gone.has(name)) this.gone.set(name, sequence);
  }

  /** Says whether the client would not give up `name`, which is gone. */
  isClungTo(name: string): boolean {
    return this.refused.get(name)?.version === '';
  }

  forget(name: string): void {
    this.news.delete(name);
    this.gone.delete(name);
    this.refused.delete(name);
  }

  /** Goes on knowing what its client holds, or may hold, and lets go of that itself. */
  lighten(): void {
    this.queue = undefined;
    this.subscription.lighten();
    if (!this.inFlight) return;
    const { response, carries } = this.inFlight;
    const short = new Map([...carries].map(([name, held]) => [name, held && inShort(held)]));
    this.inFlight = { ...this.inFlight, response: { ...response, resources: [] }, carries: short };
  }

  /** Of a client that asks for a great many names, forgets those that are not known, and gives them. */
  shed(isKnown: (name: string) => boolean): readonly string[] {
    if (this.subscription.length <= MAX_REMEMBERED_LENGTH) return [];
    this.queue = undefined;
    const shed = this.subscription.shed(isKnown);
    for (const name of shed) this.forget(name);
    return shed;
  }

  /** Says whether the client holds `resource` and is to be sent no other. It may have come back to what it was. */
  hasAlready(resource: Resource): boolean {
    const { name, version } = resource;
    // Another one may be on its way, or about to be.
    if (this.queue || this.inFlight?.carries.has(name)) return false;
    // It may keep at hand what it refused, until it is sent something else.
    if (this.refused.has(name)) return false;
    if (this.subscription.held(name)?.version !== version) return false;
    this.subscription.hold(name, resource);
    this.gone.delete(name);
    return true;
  }

  /** The refusals that left something older in force, and that. */
  *outdated(): Generator<readonly [Refusal, Held]> {
    for (const refusal of this.refused.values()) {
      const held = this.subscription.held(refusal.name);
      if (held) yield [refusal, held];
    }
  }

  /** Takes as much out of the queue as one response may carry. What is not wanted any more is left out. */
  take(): Queue {
    const { resources = [], absent = [] } = this.queue ?? {};
    const first = fitting(resources, ({ name, entry }) => (this.subscription.covers(name) ? entry.length : undefined));
    const then =
      first.end < resources.length
        ? { some: [], end: 0 }
        : fitting(absent, (name) => (this.subscription.covers(name) ? name.length : undefined));
    const isEmpty = first.end === resources.length && then.end === absent.length;
    this.queue = isEmpty ? undefined : { resources: resources.slice(first.end), absent: absent.slice(then.end) };
    return { resources: first.some, absent: then.some };
  }
}

/** As many of `items` from the first as fit into a response, one at least, and where they end; those without a size are left out. */
export function fitting<Item>(
  items: readonly Item[],
  sizeOf: (item: Item) => number | undefined,
): { readonly some: Item[]; readonly end: number } {
  const some: Item[] = [];
  let sum = 0;
  for (const [at, item] of items.entries()) {
    const size = sizeOf(item);
    if (size === undefined) continue;
    sum += size;
    if (sum > RESPONSE_LIMIT && some.length > 0) return { some, end: at };
    some.push(item);
  }
  return { some, end: items.length };
}
