/** The one way to change what people wish: plan, then apply. Writers that wait together are kept together, in one transaction. */
import { createHash } from 'node:crypto';
import { canonicalJson } from '../model/canonical-json.js';
import { find, withChanges, type Mesh } from '../model/mesh.js';
import { MeshError } from '../model/mesh-error.js';
import type { Change, Revision } from '../model/revision.js';
import type { World } from '../model/world.js';
import type { RevisionLog } from '../store/revision-log.js';
import { planChanges, type Wish } from './plan.js';

/** Who wants a change, and why. */
export interface Authorship {
  readonly author: string;
  readonly comment?: string;
}

/** What a wish would come to. */
export interface Plan {
  readonly by: Authorship;
  readonly wish: Wish;
  /** The revision of the mesh that it was planned on. */
  readonly base: number;
  readonly changes: readonly Change[];
  /** The mesh that would be. */
  readonly mesh: Mesh;
  /** Equal plans have equal hashes, whenever and on whatever they were made. */
  readonly hash: string;
}

/** What became of a wish. */
export interface Committed {
  /** False when everything wished was so already. */
  readonly changed: boolean;
  /** The revision that holds what was wished: the one that was made or, if nothing changed, the last one of those objects. */
  readonly revision: number;
  readonly changes: readonly Change[];
  /** The mesh right after it. */
  readonly mesh: Mesh;
}

/** What changes are made to. */
export interface Ground {
  readonly current: World;
}

/** Wishes that may wait for their turn before further ones are refused, and how many are kept together at most. */
const MAX_WAITING = 1_000;
const MAX_TOGETHER = 250;
/** How often to plan again because another server was faster, before giving up. */
const ATTEMPTS = 10;

interface Waiting {
  readonly by: Authorship;
  readonly wish: Wish;
  /** Given: what is wished must still come to this. */
  readonly hash?: string;
  readonly resolve: (committed: Committed) => void;
  readonly reject: (error: unknown) => void;
}

export class Changes {
  private readonly waiting: Waiting[] = [];
  private running = false;

  constructor(
    private readonly log: RevisionLog,
    private readonly ground: Ground,
    private readonly clock: () => Date = () => new Date(),
  ) {}

  /** What `wish` would come to now. Throws what `planChanges` throws. */
  plan(by: Authorship, wish: Wish): Plan {
    const { mesh, revision: base } = this.ground.current;
    const changes = planChanges(mesh, wish, base + 1, this.clock().toISOString());
    return { by, wish, base, changes, mesh: withChanges(mesh, changes), hash: hashOf(changes) };
  }

  /** What `plan` comes to in `world`. Throws `stale-revision` when that is not what was planned, and what `planChanges` throws. */
  repeat({ wish, hash }: Pick<Plan, 'wish' | 'hash'>, { mesh, revision }: World): Change[] {
    const changes = planChanges(mesh, wish, revision + 1, this.clock().toISOString());
    if (hash !== hashOf(changes)) throw notAsPlanned();
    return changes;
  }

  /**
   * Carries a wish out as one revision, when its turn comes. It is planned on the mesh as that is by then; with a `hash`, that
   * must come to what was planned: throws `stale-revision` if it does not, and whatever `commit` throws.
   */
  apply({ by, wish, hash }: Pick<Plan, 'by' | 'wish'> & Partial<Pick<Plan, 'hash'>>): Promise<Committed> {
    return this.enqueue({ by, wish, ...(hash !== undefined && { hash }) });
  }

  /**
   * Plans and applies at once, whatever the wish comes to when its turn comes. Throws what `planChanges` throws, and
   * `store-unavailable` when the log does not take it; then nothing has changed.
   */
  commit(by: Authorship, wish: Wish): Promise<Committed> {
    return this.apply({ by, wish });
  }

  private enqueue(wanted: Omit<Waiting, 'resolve' | 'reject'>): Promise<Committed> {
    if (this.waiting.length >= MAX_WAITING) {
      return Promise.reject(
        new MeshError('store-unavailable', `${MAX_WAITING} changes are waiting already; try again later`),
      );
    }
    return new Promise((resolve, reject) => {
      this.waiting.push({ ...wanted, resolve, reject });
      if (!this.running) void this.run();
    });
  }

  private async run(): Promise<void> {
    this.running = true;
    while (this.waiting.length > 0) {
      await this.keepTogether(this.waiting.splice(0, MAX_TOGETHER));
      // Whoever knocked while the disk was busy comes in before the next flush, and not after it.
      await new Promise(setImmediate);
    }
    this.running = false;
  }

  /** A wish that cannot be fulfilled is refused alone; what the log does not take is refused for all. */
  private async keepTogether(batch: readonly Waiting[]): Promise<void> {
    try {
      for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
        const { head } = this.log;
        const { settle, revisions } = this.planAll(batch, head);
        if (revisions.length > 0 && (await this.log.append(head, revisions)) === 'moved') continue;
        for (const tell of settle) tell();
        return;
      }
      throw new MeshError('store-unavailable', 'others keep changing the mesh; try again later');
    } catch (error) {
      for (const { reject } of batch) reject(error);
    }
  }

  /** Plans each wish on the mesh that those before it make, and says what to tell whom once all of that is kept. */
  private planAll(batch: readonly Waiting[], head: number) {
    const at = this.clock().toISOString();
    const revisions: Revision[] = [];
    let { mesh } = this.ground.current;
    const settle = batch.map(({ by, wish, hash, resolve, reject }) => {
      try {
        const number = head + revisions.length + 1;
        const changes = planChanges(mesh, wish, number, at);
        if (hash !== undefined && hash !== hashOf(changes)) throw notAsPlanned();
        if (changes.length === 0) {
          // A wish that names nothing is about all that there is.
          const unchanged = { changed: false, revision: lastOf(mesh, wish) ?? number - 1, changes, mesh };
          return () => resolve(unchanged);
        }
        revisions.push({ number, author: by.author, comment: by.comment ?? '', at, changes });
        mesh = withChanges(mesh, changes);
        const committed = { changed: true, revision: number, changes, mesh };
        return () => resolve(committed);
      } catch (error) {
        return () => reject(error);
      }
    });
    return { settle, revisions };
  }
}

const notAsPlanned = (): MeshError =>
  new MeshError(
    'stale-revision',
    'the mesh was changed since this was planned, and it would come to something else now',
  );

/** The newest revision among those that last changed what `wish` is about; undefined: it is about nothing in particular. */
const lastOf = (mesh: Mesh, { put = [] }: Wish): number | undefined =>
  put.length > 0 ? Math.max(...put.map((draft) => find(mesh, draft)?.metadata.revision ?? 0)) : undefined;

/** What somebody agreed to is what changes and into what, not when. */
function hashOf(changes: readonly Change[]): string {
  const content = changes.map(({ ref, before, after }) => ({
    ref,
    before: before?.metadata.revision ?? 0,
    ...(after && { labels: after.metadata.labels, annotations: after.metadata.annotations, spec: after.spec }),
  }));
  return createHash('sha256').update(canonicalJson(content)).digest('hex');
}
