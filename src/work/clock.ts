/** Deadlines by the time of day: certificates end by it, while the timers of a process stand still when the machine sleeps. */

/** How long to go without a look at the clock on the wall, in milliseconds. */
const LOOK_MS = 30_000;

export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number;
  /** Calls `work` once `time` has come, however the clock came to be there. Returns what prevents that. */
  at(time: number, work: () => void): () => void;
}

/** The clock on the wall. It notices within half a minute that it was set, or that the machine has slept. */
export const wallClock: Clock = {
  now: Date.now,
  at: (time, work) => {
    let timer: NodeJS.Timeout;
    const look = (): void => {
      const left = time - Date.now();
      if (left <= 0) work();
      else timer = setTimeout(look, Math.min(left, LOOK_MS)).unref();
    };
    // Never before the caller has what prevents it.
    timer = setTimeout(look, Math.min(Math.max(0, time - Date.now()), LOOK_MS)).unref();
    return () => clearTimeout(timer);
  },
};
