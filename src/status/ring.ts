/** What the last revisions changed: which state of the world holds each, and the names of the resources that came of it. */
import type { Ref } from '../model/document.js';
import type { Published } from '../stream/engine.js';
import type { Names } from '../stream/client.js';

/** What is to be proven of a revision. */
export interface Effect {
  readonly revision: number;
  /** The first state of the world that holds it, or a later one when that is not known any more. */
  readonly sequence: number;
  readonly names: Names;
  /** The objects that it put in place. */
  readonly put: readonly Ref[];
  /**
   * True when it is not known any more what the revision took away: then a proxy must also have had the world whole at that
   * state of it or a later one.
   */
  readonly isVague: boolean;
}

const MAX_REVISIONS = 10_000;
/** A change for everybody has as many names as there are proxies; they are kept for fewer revisions then. */
const MAX_NAMES = 500_000;

export class Ring {
  private readonly effects = new Map<number, Effect>();
  private count = 0;
  private first: { readonly revision: number; readonly sequence: number } | undefined;
  /** Revisions and the sequences that hold them, both ascending, for the way back. */
  private newest: { readonly revision: number; readonly sequence: number } | undefined;

  /** @param most how many revisions it remembers */
  constructor(private readonly most = MAX_REVISIONS) {}

  record({ steps, publication: { sequence, changed, parts } }: Published): void {
    for (const [at, { revisions, world }] of steps.entries()) {
      for (const { number, changes } of revisions) {
        const put = changes.flatMap(({ ref, after }) => (after ? ref : []));
        this.add({ revision: number, sequence, names: parts[at] ?? changed, put, isVague: false });
      }
      this.first ??= { revision: world.revision, sequence };
      this.newest = { revision: world.revision, sequence };
    }
  }

  of(revision: number): Effect | undefined {
    return this.effects.get(revision);
  }

  /** The newest revision that has been published; 0: none yet. */
  get head(): number {
    return this.newest?.revision ?? 0;
  }

  /** The first sequence there was: it holds every revision that was made before. */
  get beginning(): number {
    return this.first?.sequence ?? 0;
  }

  /** The first sequence that is known to hold a revision which is not remembered: the first there was, if it was made before that. */
  heldSince(revision: number): number {
    const [oldest] = this.effects.values();
    return oldest && this.first && revision > this.first.revision ? oldest.sequence : this.beginning;
  }

  /** The newest revision that the world held at `sequence`. */
  revisionAt(sequence: number): number {
    if (!this.first || !this.newest || sequence < this.first.sequence) return 0;
    if (sequence >= this.newest.sequence) return this.newest.revision;
    let [low, high] = [this.floor, this.newest.revision];
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      const effect = this.effects.get(middle);
      if (effect && effect.sequence <= sequence) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  /** The revision before the first that is remembered. */
  private get floor(): number {
    const [oldest] = this.effects.keys();
    return oldest === undefined ? this.head : oldest - 1;
  }

  private add(effect: Effect): void {
    this.effects.set(effect.revision, effect);
    this.count += sizeOf(effect.names);
    for (const [revision, { names }] of this.effects) {
      if (this.effects.size <= this.most && this.count <= MAX_NAMES) break;
      if (revision === effect.revision) break;
      this.effects.delete(revision);
      this.count -= sizeOf(names);
    }
  }
}

const sizeOf = (names: Names): number => [...names.values()].reduce((sum, { size }) => sum + size, 0);
