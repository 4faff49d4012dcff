/**
 * Work that keeps the world as it should be: it looks at how things stand, decides what is to be done about it, and does
 * that. By level and not by edge: it is told that something may be different, never what, so that what a crash or a
 * failure cut short is found and done by the next look.
 */
import type { Leases } from './lease.js';

/** How things stand goes in, what is to be done comes out. Deciding reads nothing else, and changes nothing. */
export interface Reconciler<World, Wish> {
  readonly name: string;
  look(): World;
  decide(world: World): readonly Wish[];
  /** Brings one thing about. Doing it twice must do no harm. Throws what kept it from being done. */
  act(wish: Wish): Promise<void>;
}

export interface LoopOptions {
  readonly everyMs: number;
  readonly leases: Leases;
  readonly onFailure: (error: unknown) => void;
}

/** Runs a reconciler: at intervals, and soon after each nudge. Never twice at the same time, and only where its lease is held. */
export class Loop<World, Wish> {
  private readonly timer: NodeJS.Timeout;
  private isDue = false;
  private running: Promise<void> | undefined;
  private closed = false;

  constructor(
    private readonly reconciler: Reconciler<World, Wish>,
    private readonly options: LoopOptions,
  ) {
    this.timer = setInterval(() => this.nudge(), options.everyMs).unref();
  }

  /** Says that something may be different. */
  nudge(): void {
    this.isDue = true;
    if (!this.closed) this.running ??= this.run();
  }

  /** Has another look, and is done when all that it found has been seen to. */
  async settle(): Promise<void> {
    this.nudge();
    while (this.running) await this.running;
  }

  /** Begins nothing more, and waits for what is under way. */
  async close(): Promise<void> {
    this.closed = true;
    clearInterval(this.timer);
    await this.running;
  }

  private async run(): Promise<void> {
    // Whoever nudges is in the middle of something: it is looked at when that is done.
    await Promise.resolve();
    while (this.isDue && !this.closed) {
      this.isDue = false;
      await this.once();
    }
    // At once: a nudge of this very moment must find that nobody runs any more.
    this.running = undefined;
  }

  /** One wish that fails keeps no other from being carried out; it comes up again with the next look. */
  private async once(): Promise<void> {
    const { reconciler, options } = this;
    const { name } = reconciler;
    try {
      const fence = await options.leases.acquire(name);
      if (fence === undefined) return;
      for (const wish of reconciler.decide(reconciler.look())) {
        if (!options.leases.isHeld(name, fence)) return;
        await reconciler.act(wish).catch(options.onFailure);
      }
    } catch (error) {
      options.onFailure(error);
    }
  }
}
