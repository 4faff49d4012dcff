/** How much one client may ask for, how much it is told at a time, and how much is kept of what it says. */
import type { TypeUrl } from '../compile/resource.js';
import { SessionViolation } from './delta.js';
import type { Subscription } from './subscription.js';

/** How many resources of one type a client may ask for by name. */
const MAX_NAMES = 50_000;

/** How long a name may be, and all names of one type together; ours are hardly longer than the two names that they are made of. */
const MAX_NAME_LENGTH = 512;
const MAX_NAMES_LENGTH = 4 * 1024 * 1024;

/** How much is kept of why a client refuses a resource. */
const MAX_REASON_LENGTH = 1_000;

/** A version that is longer than this is none of ours. */
export const MAX_VERSION_LENGTH = 64;

/** How long all names of one type may be together that are remembered of a client that is away, unless there is such a thing. */
export const MAX_REMEMBERED_LENGTH = 64 * 1024;

/** How many bytes one response may carry, unless a single resource is larger: all that waits for a client that does not read. */
export const RESPONSE_LIMIT = 64 * 1024;

/** Throws SessionViolation when a name is longer than any of ours. */
export function expectShort(type: TypeUrl, name: string): void {
  if (name.length <= MAX_NAME_LENGTH) return;
  throw new SessionViolation(`a name of ${type} was subscribed to that is longer than ${MAX_NAME_LENGTH} characters`);
}

/** Throws SessionViolation when more is subscribed to than one client may ask for. */
export function expectFew(type: TypeUrl, { size, length }: Subscription): void {
  if (size > MAX_NAMES) throw new SessionViolation(`more than ${MAX_NAMES} names of ${type} were subscribed to`);
  if (length <= MAX_NAMES_LENGTH) return;
  throw new SessionViolation(`more than ${MAX_NAMES_LENGTH} bytes of names of ${type} were subscribed to`);
}

/** The beginning of a reason, by itself: a part of a text keeps the whole in memory. */
export const brief = (reason: string): string =>
  reason.length <= MAX_REASON_LENGTH ? reason : Buffer.from(reason.slice(0, MAX_REASON_LENGTH)).toString();
