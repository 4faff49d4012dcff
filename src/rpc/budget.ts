/** A number of bytes that may be held at once, taken from a larger such number. */

export class ByteBudget {
  private taken = 0;

  /** @param within what this one is a part of: there is only as much as both have left */
  constructor(
    private readonly limit: number,
    private readonly within?: ByteBudget,
  ) {}

  get held(): number {
    return this.taken;
  }

  /** Takes `bytes`, or nothing when there is not as much left. */
  take(bytes: number): boolean {
    if (this.taken + bytes > this.limit || this.within?.take(bytes) === false) return false;
    this.taken += bytes;
    return true;
  }

  give(bytes: number): void {
    this.taken -= bytes;
    this.within?.give(bytes);
  }
}
