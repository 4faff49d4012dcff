/** Times that nobody sets: the clock on the wall may be wrong for a while, and what follows from that is not to last. */

/**
 * Milliseconds since the epoch as they were when this process began, and only forward from there: for what waits a while. It
 * stands while the machine sleeps.
 */
export const steadyNow = (): number => performance.timeOrigin + performance.now();

/**
 * The earlier of the clock on the wall and the one that nobody sets: for what goes by the time of day and cannot be taken back.
 * It comes late, and never because the clock was put forward.
 */
export const earliestNow = (wall = Date.now()): number => Math.min(wall, steadyNow());
