/** The places of those who wait for proxies: shared by all, but nobody gets so many that others find none. */

/** Places there are, how many of them one author may have, and how many are kept for those who have few. */
interface Room {
  readonly places: number;
  readonly each: number;
  readonly reserve: number;
  readonly few: number;
}

export class WaitingRoom {
  private readonly byAuthor = new Map<string, number>();
  private taken = 0;

  constructor(private readonly room: Room) {}

  /** How many wait. */
  get size(): number {
    return this.taken;
  }

  /** Why there is no place for one more of `author`; undefined when there is. */
  refusalOf(author: string): string | undefined {
    const { places, each, reserve, few } = this.room;
    const own = this.byAuthor.get(author) ?? 0;
    if (own >= each) return `${each} callers with this token are waiting already`;
    if (this.taken >= places || (this.taken >= places - reserve && own >= few)) {
      return `${this.taken} callers are waiting already`;
    }
    return undefined;
  }

  enter(author: string): void {
    this.taken += 1;
    this.byAuthor.set(author, (this.byAuthor.get(author) ?? 0) + 1);
  }

  leave(author: string): void {
    this.taken -= 1;
    const left = (this.byAuthor.get(author) ?? 0) - 1;
    if (left > 0) this.byAuthor.set(author, left);
    else this.byAuthor.delete(author);
  }
}
