/** Which revision each recent state of the world had folded in. */
import type { World } from '../model/world.js';

/** How many steps to another revision are remembered. */
const KEPT = 10_000;

export class Sequences {
  /** Ascending in both. */
  private readonly steps: Pick<World, 'sequence' | 'revision'>[] = [];

  note({ sequence, revision }: World): void {
    if (this.steps.at(-1)?.revision === revision) return;
    this.steps.push({ sequence, revision });
    if (this.steps.length > KEPT) this.steps.shift();
  }

  /** The newest revision that the world had folded in at `sequence`; of a state long gone, 0. */
  revisionAt(sequence: number): number {
    return this.steps.findLast((step) => step.sequence <= sequence)?.revision ?? 0;
  }
}
