/**
 * Lets those who wait look again when it may be worth it, and only then: acknowledgements come in their thousands, and
 * a look at a receipt goes through all whom it concerns.
 */
import type { Engine } from '../stream/engine.js';
import type { Session } from '../stream/session.js';
import type { Fleet } from './fleet.js';
import { standingOf } from './receipt.js';
import type { Effect } from './ring.js';

export interface Waiter {
  /** What it waits for; undefined while that is not published. */
  effect(): Effect | undefined;
  /** Takes a look at the receipt as it stands, and says how many more proxies must serve the revision before another is of use. */
  look(): number;
}

/** Looks that come of many coming and going are put together, in milliseconds. */
const GATHER_MS = 20;

/** Those of a revision that its waiters have last seen not to serve it, of the proxies that are there. */
interface Behind {
  readonly effect: Effect;
  readonly sessions: Set<Session>;
  /** How many of them must catch up before another look is of use. */
  missing: number;
}

export class Watch {
  private readonly waiters = new Map<Waiter, Behind | undefined>();
  private readonly due = new Set<Waiter>();
  private looking: NodeJS.Immediate | undefined;
  private gathering: NodeJS.Timeout | undefined;
  private readonly stops: readonly (() => void)[];

  constructor(
    private readonly engine: Engine,
    private readonly fleet: Fleet,
  ) {
    this.stops = [
      engine.onProgress((session) => this.progressed(session)),
      engine.onPublished(() => this.lookSoon([...this.waiters].flatMap(([waiter, behind]) => (behind ? [] : waiter)))),
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
  private follow(waiter: Waiter, missing: number): void {
    const effect = waiter.effect();
    if (!effect || !this.waiters.has(waiter)) return;
    const sessions = new Set<Session>();
    for (const session of this.fleet.sessionsConcernedBy(effect, this.engine.audience)) {
      if (standingOf(session, effect) === 'pending') sessions.add(session);
    }
    this.waiters.set(waiter, { effect, sessions, missing });
  }

  /** A waiter looks when so many that were behind are not any more that its target may be met, or when one of them refuses. */
  private progressed(session: Session): void {
    for (const [waiter, behind] of this.waiters) {
      if (!behind?.sessions.has(session)) continue;
      const standing = standingOf(session, behind.effect);
      if (standing === 'pending') continue;
      behind.sessions.delete(session);
      behind.missing -= 1;
      if (behind.missing <= 0 || standing !== 'serving') this.lookSoon([waiter]);
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

  private look(): void {
    this.looking = undefined;
    for (const waiter of [...this.due]) {
      this.due.delete(waiter);
      this.follow(waiter, waiter.look());
    }
  }
}
