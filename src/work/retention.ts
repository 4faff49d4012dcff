/**
 * Takes out of the history what is not to be kept any more, and gives the disk back what that leaves free: little by little,
 * since whoever writes waits for each piece of it.
 */
import type { HistoryKeep } from '../model/revision.js';
import type { Database, Size } from '../store/database.js';
import type { Mark, Past, SqlRevisionLog } from '../store/revision-log.js';
import type { Leases } from './lease.js';
import { Loop, type Reconciler } from './reconciler.js';

/** How often is looked, in milliseconds: so much longer than was said may something be kept. */
const LOOK_MS = 60_000;
/** How many revisions too many are a reason to look at once. */
const SLACK = 100;
/** A file may have so many bytes free, or a quarter of itself if that is more: what is written next goes there. */
const FREE_BYTES = 4 * 1024 * 1024;
const FREE_PART = 1 / 4;
/** How much is given back at a time, in bytes. */
const RELEASED_BYTES = 256 * 1024;

/** The history as far as it decides what goes. */
export interface History {
  readonly keep: HistoryKeep;
  /** Undefined: there is none yet. */
  readonly oldest: Mark | undefined;
  readonly head: number;
  /** Undefined: nobody knows. */
  readonly size: Size | undefined;
  /** Milliseconds since the epoch. */
  readonly now: number;
}

export type RetentionWish =
  { readonly do: 'prune'; readonly past: Past } | { readonly do: 'release'; readonly bytes: number };

/** What is to be done next. Room is given back when nothing more goes: until then it may be needed. */
export function retain({ keep, oldest, head, size, now }: History): RetentionWish[] {
  const below = keep.revisions === Infinity ? 0 : head - keep.revisions + 1;
  const before = keep.ageMs === Infinity ? '' : new Date(Math.max(0, now - keep.ageMs)).toISOString();
  if (oldest && oldest.number < head && (oldest.number < below || oldest.at < before)) {
    return [{ do: 'prune', past: { below, before } }];
  }
  if (!size) return [];
  const tooMuch = size.free - Math.max(FREE_BYTES, size.total * FREE_PART);
  return tooMuch > 0 ? [{ do: 'release', bytes: Math.min(tooMuch, RELEASED_BYTES) }] : [];
}

export interface RetentionOptions {
  readonly log: Pick<SqlRevisionLog, 'head' | 'oldest' | 'prune' | 'onChange'>;
  readonly database: Pick<Database, 'size' | 'release'>;
  readonly keep: HistoryKeep;
  readonly leases: Leases;
  readonly now: () => number;
  readonly onFailure: (error: unknown) => void;
}

export class Retention {
  private readonly loop: Loop<History, RetentionWish>;
  private readonly stop: () => void;

  constructor({ log, database, keep, leases, now, onFailure }: RetentionOptions) {
    const reconciler: Reconciler<History, RetentionWish> = {
      name: 'retention',
      look: () => ({ keep, oldest: log.oldest, head: log.head, size: database.size, now: now() }),
      decide: retain,
      act: async (wish) => {
        // Requests come in between: what is awaited here may all be done before the event loop is seen again.
        await new Promise(setImmediate);
        const isMore = wish.do === 'prune' ? await log.prune(wish.past) : await database.release(wish.bytes);
        // One write alone is no reason for another look: every one of a busy log would then cost two.
        if (isMore) this.loop.nudge();
      },
    };
    this.loop = new Loop(reconciler, { everyMs: LOOK_MS, leases, onFailure });
    this.stop = log.onChange(() => {
      if (log.oldest && log.head - log.oldest.number >= keep.revisions + SLACK) this.loop.nudge();
    });
    this.loop.nudge();
  }

  /** Has a look, and is done when nothing is left to be done. */
  settle(): Promise<void> {
    return this.loop.settle();
  }

  /** Begins nothing more, and waits for the piece that is under way. */
  async close(): Promise<void> {
    this.stop();
    await this.loop.close();
  }
}
