/** The durable log of what people wish: revisions, only ever added to, and the objects as they stand after the newest. */
import { In, LessThan, MoreThan, type EntityManager } from 'typeorm';
import { printRef, type Document, type Ref } from '../model/document.js';
import type { Change, Revision } from '../model/revision.js';
import type { Database } from './database.js';
import { FactRow, ObjectRow, RevisionRow } from './entities.js';

/** The log as those need it who change the mesh: a server beside this one may be adding to it as well. */
export interface RevisionLog {
  /** The newest revision that is known here; 0 when there is none yet. */
  readonly head: number;
  /** The oldest revision that is still kept. */
  readonly floor: number;
  /** Up to `limit` revisions after `revision`, oldest first; fewer when they are large, but one at least if there is one. */
  since(revision: number, limit: number): Promise<readonly Revision[]>;
  /** Adds `revisions`, all or none, if `base` is still the newest; moved: it is not, and `head` is what it is now. */
  append(base: number, revisions: readonly Revision[]): Promise<'ok' | 'moved'>;
}

/** A revision was added. */
export interface Appended {
  readonly revision: Revision;
  readonly changes: readonly Change[];
}

/** What somebody else keeps in step with the log: called in the transaction that adds `revisions`. */
export type Alongside = (transaction: EntityManager, revisions: readonly Revision[]) => Promise<void>;

export class SqlRevisionLog implements RevisionLog {
  private readonly listeners = new Set<(event: Appended) => void>();
  private readonly alongside: Alongside[] = [];

  private constructor(
    private readonly database: Database,
    private newest: number,
    private oldest: number,
  ) {}

  static open(database: Database): Promise<SqlRevisionLog> {
    return database.read(async (manager) => {
      const newest = await manager.maximum(RevisionRow, 'number');
      const oldest = await manager.minimum(RevisionRow, 'number');
      return new SqlRevisionLog(database, newest ?? 0, oldest ?? 1);
    });
  }

  /** The objects as they stand after the newest revision. */
  async documents(): Promise<Document[]> {
    const rows = await this.database.read((manager) => manager.find(ObjectRow));
    return rows.map(({ document }) => JSON.parse(document) as Document);
  }

  get head(): number {
    return this.newest;
  }

  get floor(): number {
    return this.oldest;
  }

  /** Calls `listener`, which must not throw, for every revision once it is kept, in order. Returns what ends that. */
  onChange(listener: (event: Appended) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** Has `keep` called in every transaction that adds revisions: what it writes is there if and only if they are. */
  keepAlongside(keep: Alongside): void {
    this.alongside.push(keep);
  }

  async append(base: number, revisions: readonly Revision[]): Promise<'ok' | 'moved'> {
    const outcome = await this.database.write(async (transaction) => {
      const newest = (await transaction.maximum(RevisionRow, 'number')) ?? 0;
      if (newest !== base) return newest;
      await insert(transaction, revisions);
      for (const keep of this.alongside) await keep(transaction, revisions);
      return 'ok';
    });
    if (outcome === 'ok') this.took(revisions);
    else await this.catchUp(outcome);
    return outcome === 'ok' ? outcome : 'moved';
  }

  async since(revision: number, limit: number): Promise<readonly Revision[]> {
    return (await this.page({ number: MoreThan(revision) }, 'ASC', limit)).revisions;
  }

  /** The revision of that number, if it is kept. */
  async revision(number: number): Promise<Revision | undefined> {
    const row = await this.database.read((manager) => manager.findOneBy(RevisionRow, { number }));
    return row ? revisionOf(row) : undefined;
  }

  /**
   * Up to `limit` revisions, newest first, older than `before`; fewer when they are large, but one at least. `more`
   * tells whether there are older ones.
   */
  revisions(limit: number, before = Number.MAX_SAFE_INTEGER): Promise<RevisionPage> {
    return this.page({ number: LessThan(before) }, 'DESC', limit);
  }

  private page(where: object, direction: 'ASC' | 'DESC', limit: number): Promise<RevisionPage> {
    return this.database.read(async (manager) => {
      const sizes = await manager
        .createQueryBuilder(RevisionRow, 'revision')
        .select('revision.number', 'number')
        .addSelect('LENGTH(revision.changes)', 'size')
        .where(where)
        .orderBy('revision.number', direction)
        .limit(limit + 1)
        .getRawMany<{ number: number; size: number }>();
      const count = Math.min(limit, fitting(sizes.map(({ size }) => size)));
      const numbers = sizes.slice(0, count).map(({ number }) => number);
      const found = await manager.find(RevisionRow, { where: { number: In(numbers) }, order: { number: direction } });
      return { revisions: found.map(revisionOf), more: sizes.length > numbers.length };
    });
  }

  /** Takes in what another server has added. */
  private async catchUp(newest: number): Promise<void> {
    while (this.newest < newest) this.took(await this.since(this.newest, PAGE));
  }

  private took(revisions: readonly Revision[]): void {
    for (const revision of revisions) {
      this.newest = revision.number;
      for (const listener of this.listeners) listener({ revision, changes: revision.changes });
    }
  }
}

export interface RevisionPage {
  readonly revisions: Revision[];
  readonly more: boolean;
}

/** How many rows one statement writes: SQLite and PostgreSQL both bound the parameters of one. */
const ROWS = 500;
/** How many revisions are read at a time. */
const PAGE = 100;

async function insert(transaction: EntityManager, revisions: readonly Revision[]): Promise<void> {
  const rows = revisions.map((revision) => ({ ...revision, changes: JSON.stringify(revision.changes) }));
  for (const chunk of chunks(rows)) await transaction.insert(RevisionRow, chunk);
  const last = lastChanges(revisions);
  const removed = last.filter(({ after }) => !after);
  for (const { ref, before } of removed) {
    if (before?.metadata.origin !== 'sidecar') await transaction.delete(ObjectRow, keyColumns(ref));
    // What sidecars report is no wish, but that one of them is turned out is.
    else await transaction.delete(FactRow, { namespace: ref.namespace, name: ref.name });
  }
  const put = last.flatMap(({ ref, after }) => (after ? { ...keyColumns(ref), document: JSON.stringify(after) } : []));
  for (const chunk of chunks(put)) await transaction.upsert(ObjectRow, chunk, KEY);
}

/** What all of `revisions` come to for each object. */
function lastChanges(revisions: readonly Revision[]): Change[] {
  const changes = revisions.flatMap((revision) => revision.changes);
  return [...new Map(changes.map((change) => [printRef(change.ref), change])).values()];
}

function* chunks<Row>(rows: readonly Row[]): Iterable<Row[]> {
  for (let from = 0; from < rows.length; from += ROWS) yield rows.slice(from, from + ROWS);
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
