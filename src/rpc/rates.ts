/** How often each of many may do something: a bucket each, which fills again by and by. Pure but for what it remembers. */

interface Bucket {
  readonly left: number;
  readonly at: number;
}

/** Of so many it is remembered what they did; who did so longest ago is forgotten first. */
const MAX_KEYS = 10_000;

export class Rates {
  private readonly buckets = new Map<string, Bucket>();
  private sweptAt = 0;

  /** @param burst how many at once; @param everyMs how long one takes to come back */
  constructor(
    private readonly burst: number,
    private readonly everyMs: number,
  ) {}

  /** Whether `key` may, at the time `now`; if so, that is one less. */
  take(key: string, now: number): boolean {
    this.sweep(now);
    const { left, at } = this.buckets.get(key) ?? { left: this.burst, at: now };
    const filled = Math.min(this.burst, left + (now - at) / this.everyMs);
    if (filled < 1) return false;
    this.buckets.delete(key);
    this.buckets.set(key, { left: filled - 1, at: now });
    const [oldest] = this.buckets.keys();
    if (this.buckets.size > MAX_KEYS && oldest !== undefined) this.buckets.delete(oldest);
    return true;
  }

  /** Forgets those whose buckets are full again. */
  private sweep(now: number): void {
    const full = this.burst * this.everyMs;
    if (now - this.sweptAt < full) return;
    this.sweptAt = now;
    for (const [key, { at }] of this.buckets) if (now - at >= full) this.buckets.delete(key);
  }
}
