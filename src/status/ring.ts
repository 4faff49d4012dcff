/** What the last revisions changed: which state of the world holds each, and the names of the resources that came of it. */
import type { Ref } from '../model/document.js';
import type { Mesh } from '../model/mesh.js';
import type { Change } from '../model/revision.js';
import type { Published } from '../stream/engine.js';
import type { Names } from '../stream/client.js';

/** What is to be proven of a revision. */
export interface Effect {
  readonly revision: number;
  /** The first state of the world that holds it, or a later one when that is not known any more. */
  readonly sequence: number;
  readonly names: Names;
  /** What somebody held then of what there was no more, and what the revision would have changed if there were. */
  readonly remnants: Names;
  /** By type and name: that of some of `names` is to be proven as of a later sequence. */
  readonly later?: ReadonlyMap<string, number>;
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
  /** Who waits for a revision, and what that changed, once it would be forgotten otherwise. */
  private readonly awaited = new Map<number, { waiters: number; effect?: Effect }>();
  private count = 0;
  private first: { readonly revision: number; readonly sequence: number } | undefined;
  /** Revisions and the sequences that hold them, both ascending, for the way back. */
  private newest: { readonly revision: number; readonly sequence: number } | undefined;

  /**
   * @param most how many revisions it remembers
   * @param remnants what somebody holds now of what there is no more, `goneNow` included, and what `changes`, which led to `mesh`,
   *   would have changed
   */
  constructor(
    private readonly most = MAX_REVISIONS,
    private readonly remnants: (changes: readonly Change[], mesh: Mesh, goneNow: Names) => Names = () => new Map(),
  ) {}

  record({ steps, publication: { sequence, changed, parts }, gone }: Published): void {
    for (const [at, { revisions, world }] of steps.entries()) {
      for (const { number, changes } of revisions) {
        const put = changes.flatMap(({ ref, after }) => (after ? ref : []));
        const remnants = this.remnants(changes, world.mesh, gone);
        this.add({ revision: number, sequence, names: parts[at] ?? changed, remnants, put, isVague: false });
      }
      this.first ??= { revision: world.revision, sequence };
      this.newest = { revision: world.revision, sequence };
    }
  }

  of(revision: number): Effect | undefined {
    return this.effects.get(revision) ?? this.awaited.get(revision)?.effect;
  }

  /** Goes on remembering `revision`, whether it is published already or not, until what is returned is called. */
  remember(revision: number): () => void {
    const awaited = this.awaited.get(revision) ?? { waiters: 0 };
    awaited.waiters += 1;
    this.awaited.set(revision, awaited);
    return () => {
      awaited.waiters -= 1;
      if (awaited.waiters === 0) this.awaited.delete(revision);
    };
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
    for (const [revision, forgotten] of this.effects) {
      if (this.effects.size <= this.most && this.count <= MAX_NAMES) break;
      if (revision === effect.revision) break;
      this.effects.delete(revision);
      this.count -= sizeOf(forgotten.names);
      const awaited = this.awaited.get(revision);
      if (awaited) awaited.effect = forgotten;
    }
  }
}

const sizeOf = (names: Names): number => [...names.values()].reduce((sum, { size }) => sum + size, 0);
