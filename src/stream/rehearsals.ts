/** Those who ask what changes would come to, in turn: each is answered between two publications, and holds up only the next. */
import type { Compiler } from '../compile/compiler.js';
import type { Rehearsed } from '../compile/rehearsal.js';
import { MeshError } from '../model/mesh-error.js';
import type { Change } from '../model/revision.js';
import type { World } from '../model/world.js';

/** The changes that somebody has in mind for a world. What it throws is told to whoever asked. */
export type Idea = (world: World) => readonly Change[];

/** What an idea would come to, and in which world. */
export interface Told extends Rehearsed {
  readonly world: World;
  readonly changes: readonly Change[];
}

/** How many may wait before further ones are refused. */
const MAX_WAITING = 100;

interface Asking {
  readonly idea: Idea;
  readonly resolve: (told: Told) => void;
  readonly reject: (error: unknown) => void;
}

export class Rehearsals {
  private waiting: Asking[] = [];

  get isEmpty(): boolean {
    return this.waiting.length === 0;
  }

  ask(idea: Idea): Promise<Told> {
    if (this.waiting.length >= MAX_WAITING) {
      return Promise.reject(new MeshError('not-ready', `${MAX_WAITING} previews are waiting already; try again later`));
    }
    return new Promise((resolve, reject) => this.waiting.push({ idea, resolve, reject }));
  }

  /** Answers the first of those who wait, on `world`, which is what `compiler` shows, in slices that last as long as `goOn` says. */
  *next(compiler: Compiler, world: World, goOn: () => boolean): Generator<void> {
    const asking = this.waiting.shift();
    if (!asking) return;
    try {
      const changes = asking.idea(world);
      const go = compiler.rehearse(changes);
      let rehearsed: Rehearsed | undefined;
      while (!(rehearsed = go(goOn))) yield;
      asking.resolve({ world, changes, ...rehearsed });
    } catch (error) {
      asking.reject(error);
    }
  }

  /** Nobody who waits is answered any more, for this reason. */
  refuse(reason: string): void {
    const refused = this.waiting;
    this.waiting = [];
    for (const { reject } of refused) reject(new MeshError('not-ready', reason));
  }
}
