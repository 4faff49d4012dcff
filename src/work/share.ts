/** How much of something may be done within a while: a share of all, so that whatever is wrong is seen before it has gone far. */

export class Share {
  private readonly done: number[] = [];

  /** @param few what may be done in any case; @param part of how many there are, as a fraction */
  constructor(
    private readonly few: number,
    private readonly part: number,
    private readonly withinMs: number,
  ) {}

  /** How many more at the time `now`, where there are `all`. */
  left(all: number, now: number): number {
    while (this.done[0] !== undefined && now - this.done[0] >= this.withinMs) this.done.shift();
    return Math.max(0, Math.max(this.few, Math.floor(all * this.part)) - this.done.length);
  }

  /** Notes that it was done once. */
  take(now: number): void {
    this.done.push(now);
  }
}
