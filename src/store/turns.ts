/** Whose turn it is to write: one at a time, operators first, and none of the others left out for ever. */
import { MeshError } from '../model/mesh-error.js';

/**
 * For whom something is written, by rank. operators: people and pipelines, over REST. members: what sidecars that have
 * joined report. strangers: what somebody asks for who has proved nothing yet. upkeep: what nobody waits for.
 */
export type Lane = 'operators' | 'members' | 'strangers' | 'upkeep';

/** How many may wait in each lane before further ones are refused. */
const MAX_WAITING: Readonly<Record<Lane, number>> = { operators: 1_000, members: 1_000, strangers: 100, upkeep: 100 };

/** By rank. */
const LANES: readonly Lane[] = ['operators', 'members', 'strangers', 'upkeep'];

/** After so many turns of higher lanes in a row, the one that has waited for longest in a lower lane has its turn. */
const PATIENCE = 8;

interface Waiting {
  /** Counts from the beginning: who came first has the lower one. */
  readonly ticket: number;
  readonly run: () => Promise<void>;
}

export class Turns {
  private readonly lanes = new Map<Lane, Waiting[]>(LANES.map((lane) => [lane, []]));
  private tickets = 0;
  private passedOver = 0;
  private running: Promise<void> | undefined;
  /** The turn that somebody has now. */
  private turn: Promise<void> | undefined;
  private readonly shared = new Set<Promise<unknown>>();

  /** Runs `work` when its turn comes. Throws `store-unavailable` when too many wait in its lane already. */
  take<Result>(lane: Lane, work: () => Promise<Result>): Promise<Result> {
    const line = this.lineOf(lane);
    if (line.length >= MAX_WAITING[lane]) {
      return Promise.reject(
        new MeshError('store-unavailable', `${line.length} changes are waiting already; try again later`),
      );
    }
    return new Promise<Result>((resolve, reject) => {
      line.push({ ticket: (this.tickets += 1), run: () => work().then(resolve, reject) });
      this.running ??= this.runAll();
    });
  }

  /** Runs `work` beside others of its kind, while nobody has a turn. */
  async share<Result>(work: () => Promise<Result>): Promise<Result> {
    while (this.turn) await this.turn;
    const done = work();
    const over = done.then(ignore, ignore);
    this.shared.add(over);
    try {
      return await done;
    } finally {
      this.shared.delete(over);
    }
  }

  /** Settles when nobody waits any more. */
  async end(): Promise<void> {
    while (this.running) await this.running;
    await Promise.all(this.shared);
  }

  private async runAll(): Promise<void> {
    for (let next = this.next(); next; next = this.next()) {
      while (this.shared.size > 0) await Promise.all(this.shared);
      this.turn = next.run();
      await this.turn;
      this.turn = undefined;
    }
    this.running = undefined;
  }

  private next(): Waiting | undefined {
    const [first, ...lower] = LANES.map((lane) => this.lineOf(lane)).filter((line) => line.length > 0);
    const longest = lower.reduce<Waiting[] | undefined>(
      (oldest, line) => (oldest && (oldest[0]?.ticket ?? 0) < (line[0]?.ticket ?? 0) ? oldest : line),
      undefined,
    );
    this.passedOver = longest && this.passedOver < PATIENCE ? this.passedOver + 1 : 0;
    return longest && this.passedOver === 0 ? longest.shift() : first?.shift();
  }

  private lineOf(lane: Lane): Waiting[] {
    return this.lanes.get(lane) ?? [];
  }
}

const ignore = (): void => undefined;
