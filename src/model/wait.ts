/** How long somebody may wait for proxies to serve a revision, as durations: the same at every door. */

/** When nobody says how long. */
export const DEFAULT_WAIT = '30s';

/** At most. Who would wait for longer asks again: the change stands all the same. */
export const LONGEST_WAIT = '10m';
