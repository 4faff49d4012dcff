/** How much one client may ask for, and how much it is told at a time. */

/** How many resources of one type a client may ask for by name. */
export const MAX_NAMES = 50_000;

/** How many bytes one response may carry, unless a single resource is larger: all that waits for a client that does not read. */
export const RESPONSE_LIMIT = 64 * 1024;
