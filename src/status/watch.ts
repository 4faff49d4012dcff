/**
 * Lets those who wait look again when it may be worth it, and only then: acknowledgements come in their thousands, and
 * a look at a receipt goes through all whom it concerns.
 */
import { SLICE_MS } from '../model/in-slices.js';
import type { Names } from '../stream/client.js';
import type { Engine } from '../stream/engine.js';
import type { Session } from '../stream/session.js';
import type { Fleet } from './fleet.js';
import { standingOf, type Standing } from './receipt.js';
import type { Effect } from './ring.js';

/** What is to happen before another look at a receipt is of use. */
export interface Outlook {
  /** How many more proxies must serve the revision. */
  readonly missing: number;
  /** Some that are not there do not serve it: they do when what they have is the newest once more. */
  readonly hasAbsent: boolean;
}

export interface Waiter {
  /** What it waits for; undefined while that is not published. */
  effect(): Effect | undefined;
  /** Takes a look at the receipt as it stands. */
  look(): Outlook;
}

/** Looks that come of many coming and going are put together, in milliseconds. */
const GATHER_MS = 20;

/** Those of a revision that its waiters have last seen not to serve it, of the proxies that are there, and whether they refuse it. */
interface Behind {
  readonly effect: Effect;
  readonly sessions: Map<Session, 'pending' | 'refused'>;
  /** How many of them must catch up before another look is of use. */
  missing: number;
  readonly hasAbsent: boolean;
}

const wordFor = (standing: Standing): 'serving' | 'pending' | 'refused' =>
  typeof standing === 'object' ? 'refused' : standing;

const haveCommon = (some: Names, others: Names): boolean =>
  [...others].some(([type, names]) => [...names].some((name) => some.get(type)?.has(name)));

export class Watch {
  private readonly waiters = new Map<Waiter, Behind | undefined>();
  private readonly due = new Set<Waiter>();
  private looking: NodeJS.Immediate | undefined;
  private gathering: NodeJS.Timeout | undefined;
  private subscriptions = 0;
  private readonly stops: readonly (() => void)[];

  constructor(
    private readonly engine: Engine,
    private readonly fleet: Fleet,
    private readonly elapsed: () => number,
  ) {
    this.stops = [
      engine.onProgress((session) => this.progressed(session)),
      engine.onPublished(({ publication: { changed } }) => {
        // What is left of a revision that is forgotten is what was made of the same objects, as they stand.
        const mayStandOtherwise = (behind: Behind | undefined): boolean =>
          !behind || behind.effect.isVague || (behind.hasAbsent && haveCommon(behind.effect.names, changed));
        this.lookSoon([...this.waiters].flatMap(([waiter, behind]) => (mayStandOtherwise(behind) ? waiter : [])));
      }),
      fleet.onChange(() => {
        if (this.waiters.size > 0) this.gathering ??= setTimeout(() => this.lookAtAll(), GATHER_MS);
      }),
    ];
  }

  /** Lets `waiter` look from time to time, until what is returned is called. */
  add(waiter: Waiter): () => void {
    this.waiters.set(waiter, undefined);
    this.lookSoon([waiter]);
    return () => {
      this.waiters.delete(waiter);
      this.due.delete(waiter);
    };
  }

  close(): void {
    clearTimeout(this.gathering);
    clearImmediate(this.looking);
    for (const stop of this.stops) stop();
  }

  /** Notes who is still behind, to look again when that changes. */
  private follow(waiter: Waiter, { missing, hasAbsent }: Outlook): void {
    const effect = waiter.effect();
    if (!effect || !this.waiters.has(waiter)) return;
    const sessions: Behind['sessions'] = new Map();
    for (const session of this.fleet.sessionsConcernedBy(effect, this.engine.audience)) {
      const standing = wordFor(standingOf(session, effect));
      if (standing !== 'serving') sessions.set(session, standing);
    }
    this.waiters.set(waiter, { effect, sessions, missing, hasAbsent });
  }

  /** A waiter looks when so many that were behind are not any more that its target may be met, or when one of them refuses. */
  private progressed(session: Session): void {
    const hasAsked = this.engine.subscriptions !== this.subscriptions;
    this.subscriptions = this.engine.subscriptions;
    for (const [waiter, behind] of this.waiters) {
      const before = behind?.sessions.get(session);
      if (!behind || (!before && !(hasAsked && session.client.wantsAny(behind.effect.names)))) continue;
      const standing = wordFor(standingOf(session, behind.effect));
      if (standing === before) continue;
      if (standing === 'serving') {
        behind.sessions.delete(session);
        behind.missing -= 1;
      } else behind.sessions.set(session, standing);
      if (behind.missing <= 0 || standing === 'refused') this.lookSoon([waiter]);
    }
  }

  private lookAtAll(): void {
    this.gathering = undefined;
    this.lookSoon(this.waiters.keys());
  }

  private lookSoon(waiters: Iterable<Waiter>): void {
    for (const waiter of waiters) this.due.add(waiter);
    if (this.due.size > 0) this.looking ??= setImmediate(() => this.look());
  }

  /** Many may wait, and each look goes through many proxies: at least one looks, and the others when everybody has had a turn. */
  private look(): void {
    this.looking = undefined;
    const end = this.elapsed() + SLICE_MS;
    for (const waiter of this.due) {
      this.due.delete(waiter);
      this.follow(waiter, waiter.look());
      if (this.elapsed() >= end) break;
    }
    this.lookSoon([]);
  }
}
