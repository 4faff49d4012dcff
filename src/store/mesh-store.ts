/** The durable log of the mesh and the mesh itself: one immutable value in memory, rebuilt at start, changed here alone. */
import { In, LessThan } from 'typeorm';
import type { Document, Ref } from '../model/document.js';
import { emptyMesh, withChanges, type Mesh } from '../model/mesh.js';
import { MeshError } from '../model/mesh-error.js';
import type { Change, Revision } from '../model/revision.js';
import type { Database } from './database.js';
import { ObjectRow, RevisionRow } from './entities.js';
import { planChanges, type Wish } from './plan.js';

/** The mesh as of a revision. */
export interface MeshAt {
  readonly revision: number;
  readonly mesh: Mesh;
}

/** A commit as others are told of it. */
export interface CommitEvent extends MeshAt {
  readonly by: Revision;
}

export interface Committed extends MeshAt {
  /** False when everything wished was so already: `revision` is then the newest there was. */
  readonly changed: boolean;
}

/** Who wants a change, and why. */
export interface Authorship {
  readonly author: string;
  readonly comment?: string;
}

/** Writers that may wait for their turn before further ones are refused. */
const MAX_WAITING = 1_000;

export class MeshStore {
  private readonly listeners = new Set<(event: CommitEvent) => void>();
  private turn: Promise<unknown> = Promise.resolve();
  private waiting = 0;

  private constructor(
    private readonly database: Database,
    private now: MeshAt,
    private readonly clock: () => Date,
  ) {}

  /** Rebuilds the mesh from `database`. */
  static async open(database: Database, trustDomain: string, clock = () => new Date()): Promise<MeshStore> {
    const rows = await database.rows(ObjectRow).find();
    const revision = (await database.rows(RevisionRow).maximum('number')) ?? 0;
    const documents = rows.map(({ document }) => JSON.parse(document) as Document);
    return new MeshStore(database, { revision, mesh: withChanges(emptyMesh(trustDomain), documents) }, clock);
  }

  /** The newest mesh. */
  get current(): MeshAt {
    return this.now;
  }

  /** Calls `listener`, which must not throw, after every commit, in order. Returns what ends that. */
  onCommit(listener: (event: CommitEvent) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /**
   * Commits what `decide` wishes of the mesh as it stands when its turn comes: whole, as one revision, or not at all.
   * Throws what `decide` and `planChanges` throw, and `store-unavailable` when the database does not take it.
   */
  async commit(decide: (now: MeshAt) => Wish, authorship: Authorship): Promise<Committed> {
    if (this.waiting >= MAX_WAITING) {
      throw new MeshError('store-unavailable', `${MAX_WAITING} changes are waiting already; try again later`);
    }
    this.waiting += 1;
    const commit = this.turn.then(() => this.commitNow(decide, authorship)).finally(() => (this.waiting -= 1));
    this.turn = commit.catch(() => undefined);
    return commit;
  }

  private async commitNow(decide: (now: MeshAt) => Wish, { author, comment = '' }: Authorship): Promise<Committed> {
    const number = this.now.revision + 1;
    const at = this.clock().toISOString();
    const changes = planChanges(this.now.mesh, decide(this.now), number, at);
    if (changes.length === 0) return { ...this.now, changed: false };
    const by: Revision = { number, author, comment, at, changes };
    await this.write(by);
    const put = changes.flatMap(({ after }) => after ?? []);
    const removed = changes.filter(({ after }) => !after).map(({ ref }) => ref);
    this.now = { revision: number, mesh: withChanges(this.now.mesh, put, removed) };
    for (const listener of this.listeners) listener({ ...this.now, by });
    return { ...this.now, changed: true };
  }

  private write(revision: Revision): Promise<void> {
    return this.database.write(async (transaction) => {
      await transaction.insert(RevisionRow, { ...revision, changes: JSON.stringify(revision.changes) });
      for (const { ref, after } of revision.changes) {
        if (after) await transaction.upsert(ObjectRow, { ...keyColumns(ref), document: JSON.stringify(after) }, KEY);
        else await transaction.delete(ObjectRow, keyColumns(ref));
      }
    });
  }

  /** The revision of that number, if there is one. */
  async revision(number: number): Promise<Revision | undefined> {
    const row = await this.database.rows(RevisionRow).findOneBy({ number });
    return row ? revisionOf(row) : undefined;
  }

  /**
   * Up to `limit` revisions, newest first, older than `before`; fewer when they are large, but one at least. `more`
   * tells whether there are older ones.
   */
  async revisions(
    limit: number,
    before = Number.MAX_SAFE_INTEGER,
  ): Promise<{ readonly revisions: Revision[]; readonly more: boolean }> {
    const rows = this.database.rows(RevisionRow);
    const sizes = await rows
      .createQueryBuilder('revision')
      .select('revision.number', 'number')
      .addSelect('LENGTH(revision.changes)', 'size')
      .where({ number: LessThan(before) })
      .orderBy('revision.number', 'DESC')
      .limit(limit + 1)
      .getRawMany<{ number: number; size: number }>();
    const numbers = sizes.slice(0, Math.min(limit, fitting(sizes.map(({ size }) => size)))).map(({ number }) => number);
    const found = await rows.find({ where: { number: In(numbers) }, order: { number: 'DESC' } });
    return { revisions: found.map(revisionOf), more: sizes.length > numbers.length };
  }
}

/** As much as a page of revisions may hold, in characters of their changes. */
const PAGE_SIZE = 4 * 1024 * 1024;

/** How many of `sizes` from the first come to no more than a page, but one at least. */
function fitting(sizes: readonly number[]): number {
  let sum = 0;
  const over = sizes.findIndex((size, index) => (sum += size) > PAGE_SIZE && index > 0);
  return over < 0 ? sizes.length : over;
}

const revisionOf = (row: RevisionRow): Revision => ({ ...row, changes: JSON.parse(row.changes) as Change[] });

const KEY = ['kind', 'namespace', 'name'];

const keyColumns = ({ kind, namespace, name }: Ref) => ({ kind, namespace, name });
