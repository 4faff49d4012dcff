/** Deadlines by the time of day: certificates end by it, while the timers of a process stand still when the machine sleeps. */

/** How long to go without a look at the clock on the wall, in milliseconds. */
const LOOK_MS = 30_000;

/** From one time to another, both in milliseconds since the epoch. */
export interface Span {
  readonly from: number;
  readonly to: number;
}

export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number;
  /**
   * Calls `work` once it is a time outside of `span`, however the clock came to be there: what was made while the clock was
   * wrong may be of no use yet when it is right again. Returns what prevents that.
   */
  outside(span: Span, work: () => void): () => void;
}

/** The clock on the wall. It notices within half a minute that it was set, or that the machine has slept. */
export const wallClock: Clock = {
  now: () => Date.now(),
  outside: ({ from, to }, work) => {
    let timer: NodeJS.Timeout;
    const look = (): void => {
      const now = Date.now();
      if (now < from || now >= to) work();
      else timer = setTimeout(look, Math.min(to - now, LOOK_MS)).unref();
    };
    // Never before the caller has what prevents it.
    timer = setTimeout(look, Math.min(Math.max(0, to - Date.now()), LOOK_MS)).unref();
    return () => clearTimeout(timer);
  },
};
