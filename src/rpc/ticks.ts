/** The time as a port sees it, who looks at its connections once a second. */
import { setInterval } from 'node:timers';

/** How often connections are looked at, in milliseconds. */
const TICK_MS = 1_000;

export interface Ticks {
  /** Milliseconds by a clock that only goes forward. */
  elapsed(): number;
  /** Milliseconds since the epoch: certificates go by that, even over a sleep of the machine. */
  wall(): number;
  /** Calls `look` again and again. Returns what ends that. */
  each(look: () => void): () => void;
}

export const systemTicks: Ticks = {
  elapsed: () => performance.now(),
  // Looked up each time: a test may have set another one.
  wall: () => Date.now(),
  each: (look) => {
    const timer = setInterval(look, TICK_MS).unref();
    return () => clearInterval(timer);
  },
};
