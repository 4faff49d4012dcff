/** Folds what the sources have into one world, and gives each of its states a number. */
import { printRef, refOf, type Document, type Ref } from '../model/document.js';
import { emptyMesh, find, withChanges } from '../model/mesh.js';
import type { Change } from '../model/revision.js';
import type { World, WorldStep } from '../model/world.js';
import type { Source, SourceEvent } from './source.js';

/**
 * The world, and everything that happens to it.
 *
 * Of two sources that have an object of one name, the one that had it first keeps it. Doors refuse the second; should one
 * get through all the same, it waits here, unseen, until the name is free.
 */
export class Worlds {
  private now: World;
  private readonly listeners = new Set<(step: WorldStep) => void>();
  /** What cannot be seen because another origin has its name, by printed ref, in the order in which it came. */
  private readonly hidden = new Map<string, readonly Document[]>();
  private readonly waiting: SourceEvent[] = [];
  private stepping = false;

  /** @param revision the newest revision that is in what the sources have at first */
  constructor(trustDomain: string, sources: readonly Source[], revision = 0) {
    const documents = sources.flatMap(({ documents: held }) => [...held]);
    const first: World = { sequence: 1, revision, mesh: emptyMesh(trustDomain) };
    const changes = documents.map((after): Change => ({ ref: refOf(after), after }));
    this.now = { ...first, mesh: withChanges(first.mesh, this.visible(first, changes)) };
    for (const source of sources) source.onChange((event) => this.take(event));
  }

  /** As it is. */
  get current(): World {
    return this.now;
  }

  /** Calls `listener`, which must not throw, after every step, in order. Returns what ends that. */
  onStep(listener: (step: WorldStep) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** A listener may cause another event: everybody hears of the one before first. */
  private take(event: SourceEvent): void {
    this.waiting.push(event);
    if (this.stepping) return;
    this.stepping = true;
    try {
      for (let next = this.waiting.shift(); next; next = this.waiting.shift()) this.step(next);
    } finally {
      this.stepping = false;
    }
  }

  private step({ changes: told, revision }: SourceEvent): void {
    const changes = this.visible(this.now, told);
    if (changes.length === 0 && !revision) return;
    const world = {
      sequence: this.now.sequence + 1,
      revision: revision?.number ?? this.now.revision,
      mesh: withChanges(this.now.mesh, changes),
    };
    this.now = world;
    const step = { world, changes, revisions: revision ? [revision] : [] };
    for (const listener of this.listeners) listener(step);
  }

  /** What `told` changes in the mesh of `world`, each object at most once, with what really stood there before. */
  private visible({ mesh }: World, told: readonly Change[]): Change[] {
    const touched = new Map<
      string,
      { readonly ref: Ref; readonly before: Document | undefined; after: Document | undefined }
    >();
    for (const change of told) {
      const { ref } = change;
      const key = printRef(ref);
      const standing = touched.get(key) ?? { ref, before: find(mesh, ref), after: find(mesh, ref) };
      touched.set(key, { ...standing, after: this.settle(key, standing.after, change) });
    }
    return [...touched.values()]
      .filter(({ before, after }) => before !== after)
      .map(({ ref, before, after }) => ({ ref, ...(before && { before }), ...(after && { after }) }));
  }

  /** What is to be seen under a name once one origin has changed what it has there. */
  private settle(key: string, standing: Document | undefined, { before, after }: Change): Document | undefined {
    const origin = (after ?? before ?? standing)?.metadata.origin;
    const others = (this.hidden.get(key) ?? []).filter(({ metadata }) => metadata.origin !== origin);
    const holds = standing === undefined || standing.metadata.origin === origin;
    const hidden = holds ? (after ? others : others.slice(1)) : after ? [...others, after] : others;
    if (hidden.length > 0) this.hidden.set(key, hidden);
    else this.hidden.delete(key);
    return holds ? (after ?? others[0]) : standing;
  }
}
