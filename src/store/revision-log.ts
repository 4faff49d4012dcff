/**
 * The durable log of what people wish: revisions, added at one end and in time taken out at the other, and the objects as they
 * stand after the newest. Nothing is ever made again from the log: a server starts from the objects.
 */
import { In, LessThan, MoreThan, type EntityManager } from 'typeorm';
import { printRef, type Document, type Ref } from '../model/document.js';
import { upgraded } from '../model/kinds.js';
import { notKept, type Change, type Revision } from '../model/revision.js';
import type { Database } from './database.js';
import { FactRow, ObjectRow, RevisionRow } from './entities.js';

/** The log as those need it who change the mesh: a server beside this one may be adding to it as well. */
export interface RevisionLog {
  /** The newest revision that is known here; 0 when there is none yet. */
  readonly head: number;
  /** The oldest revision that is still kept. */
  readonly floor: number;
  /**
   * Up to `limit` revisions after `revision`, oldest first; fewer when they are large, but one at least if there is one. Throws
   * `gone` when not all of those are kept: nobody takes what is left for what there was.
   */
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

/** A revision as far as it matters how old it is. */
export interface Mark {
  readonly number: number;
  /** ISO 8601. */
  readonly at: string;
}

/** What is not to be kept: revisions below a number, and those of before a time. */
export interface Past {
  readonly below: number;
  /** ISO 8601. */
  readonly before: string;
}

export class SqlRevisionLog implements RevisionLog {
  private readonly listeners = new Set<(event: Appended) => void>();
  private readonly alongside: Alongside[] = [];

  private constructor(
    private readonly database: Database,
    private newest: number,
    private first: Mark | undefined,
  ) {}

  static open(database: Database): Promise<SqlRevisionLog> {
    return database.read(async (manager) => {
      const newest = await manager.maximum(RevisionRow, 'number');
      const [first] = await marks(manager, 1);
      return new SqlRevisionLog(database, newest ?? 0, first);
    });
  }

  /** The objects as they stand after the newest revision. */
  async documents(): Promise<Document[]> {
    const rows = await this.database.read((manager) => manager.find(ObjectRow));
    return rows.map(({ document }) => upgraded(JSON.parse(document) as Document));
  }

  get head(): number {
    return this.newest;
  }

  get floor(): number {
    return this.first?.number ?? 1;
  }

  /** The oldest revision that is kept; undefined: there is none yet. */
  get oldest(): Mark | undefined {
    return this.first;
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
    const { revisions } = await this.page({ number: MoreThan(revision) }, 'ASC', limit);
    const [next] = revisions;
    if (next && next.number > revision + 1) throw notKept(revision + 1, next.number);
    return revisions;
  }

  /**
   * Takes some of what is past out of the log, oldest first, and says whether there is more of it. Only some, since whoever
   * writes waits for it. What goes is gone at once and for good; what is left is without a gap, and has the newest in it.
   */
  async prune(past: Past): Promise<boolean> {
    const { floor, more } = await this.database.write(async (transaction) => {
      const rows = await marks(transaction, PRUNED + 1);
      const count = pastOf(rows, past);
      const [floor] = rows.slice(count).map(({ number, at }) => ({ number, at }));
      if (count > 0 && floor) await transaction.delete(RevisionRow, { number: LessThan(floor.number) });
      return { floor, more: floor !== undefined && floor.number < this.newest && isPast(floor, past) };
    }, 'upkeep');
    this.first = floor;
    return more;
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
      this.first ??= { number: revision.number, at: revision.at };
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
/** How many revisions are taken out at a time, and how many bytes of their changes, but one at least. */
const PRUNED = 100;
const PRUNED_BYTES = 1024 * 1024;

/** The oldest revisions, by what decides whether they are kept. */
const marks = (manager: EntityManager, limit: number): Promise<(Mark & { readonly size: number })[]> =>
  manager
    .createQueryBuilder(RevisionRow, 'revision')
    .select('revision.number', 'number')
    .addSelect('revision.at', 'at')
    .addSelect('OCTET_LENGTH(revision.changes)', 'size')
    .orderBy('revision.number', 'ASC')
    .limit(limit)
    .getRawMany();

const isPast = ({ number, at }: Mark, { below, before }: Past): boolean => number < below || at < before;

/** How many of `rows`, which are the oldest in order, go now. The last of them stays: it may be the newest that there is. */
function pastOf(rows: readonly (Mark & { readonly size: number })[], past: Past): number {
  let size = 0;
  const stays = rows.findIndex((row, index) => {
    const isFull = (size += row.size) > PRUNED_BYTES && index > 0;
    return isFull || !isPast(row, past);
  });
  return stays < 0 ? Math.max(0, rows.length - 1) : stays;
}

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

const revisionOf = (row: RevisionRow): Revision => ({
  ...row,
  changes: (JSON.parse(row.changes) as Change[]).map((change) => ({
    ...change,
    ...(change.before && { before: upgraded(change.before) }),
    ...(change.after && { after: upgraded(change.after) }),
  })),
});

const KEY = ['kind', 'namespace', 'name'];

const keyColumns = ({ kind, namespace, name }: Ref) => ({ kind, namespace, name });
