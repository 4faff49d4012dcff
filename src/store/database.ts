/** Opens the database: an embedded SQLite file that this process alone writes (see `DirectoryLock`), brought up to date by its migrations. */
import {
  DataSource,
  TypeORMError,
  type EntityManager,
  type EntityTarget,
  type ObjectLiteral,
  type Repository,
} from 'typeorm';
import { MeshError } from '../model/mesh-error.js';
import { ENTITIES } from './entities.js';
import { MIGRATIONS } from './migrations/index.js';
import { Turns, type Lane } from './turns.js';

/** A file that cannot be used; the message says which, why and what to do, in one line. */
export class DatabaseUnusable extends Error {
  override readonly name = 'DatabaseUnusable';
}

export interface Size {
  readonly total: number;
  readonly free: number;
}

/** How long to wait for whoever else has the file, in milliseconds: enough for a server that is just stopping. */
const LOCK_TIMEOUT_MS = 1_000;

/** The database as the stores use it: writes one after the other, and no read that sees half of one. */
export class Database {
  private readonly turns = new Turns();

  private constructor(
    private readonly source: DataSource,
    private readonly connection: SqliteConnection,
  ) {}

  /** Opens `file` (`:memory:` for one that dies with the process). Throws DatabaseUnusable. */
  static async open(file: string): Promise<Database> {
    return new Database(...(await connect(file)));
  }

  /** For reading. */
  rows<Row extends ObjectLiteral>(table: EntityTarget<Row>): Repository<Row> {
    return this.source.getRepository(table);
  }

  /** Reads while no transaction is open: there is one connection, and on it what is not committed yet could be seen. */
  read<Result>(work: (manager: EntityManager) => Promise<Result>): Promise<Result> {
    return this.turns.share(() => work(this.source.manager));
  }

  /**
   * Runs `work` in a transaction of its own, when its turn comes: the driver has one connection, on which transactions
   * begun at the same time would become parts of each other. Throws what `work` throws, and `store-unavailable` when
   * the database does not take it, or when too many of that lane wait already; then nothing was changed.
   */
  write<Result>(work: (transaction: EntityManager) => Promise<Result>, lane: Lane = 'operators'): Promise<Result> {
    return this.turns.take(lane, () => this.transact(work));
  }

  /**
   * Begins and ends the transaction itself: SQLite ends one by itself when the disk is full, and TypeORM, which does not
   * notice, would from then on take it for open and commit nothing more.
   */
  private async transact<Result>(work: (transaction: EntityManager) => Promise<Result>): Promise<Result> {
    try {
      this.run('BEGIN IMMEDIATE');
      const result = await work(this.source.manager);
      this.run('COMMIT');
      return result;
    } catch (cause) {
      if (this.connection.inTransaction) this.run('ROLLBACK');
      throw cause instanceof TypeORMError ? unavailable(cause) : cause;
    }
  }

  private number(pragma: string): number {
    return Number(this.connection.pragma(pragma, { simple: true }));
  }

  private run(sql: string): void {
    try {
      this.connection.exec(sql);
    } catch (cause) {
      throw unavailable(cause);
    }
  }

  /** How large the file is, and how much of it is free for what is written next, in bytes. Undefined: it cannot be read. */
  get size(): Size | undefined {
    try {
      const page = this.number('page_size');
      return { total: page * this.number('page_count'), free: page * this.number('freelist_count') };
    } catch {
      return undefined;
    }
  }

  /**
   * Gives up to `bytes` of what is free back to the disk, and says whether it did. A file that was made before this was thought
   * of keeps it, for what is written next.
   */
  release(bytes: number): Promise<boolean> {
    return this.turns.take('upkeep', async () => {
      const free = this.size?.free ?? 0;
      this.run(`PRAGMA incremental_vacuum(${Math.ceil(bytes / this.number('page_size'))})`);
      return (this.size?.free ?? free) < free;
    });
  }

  /** Why nothing can be read; undefined if it can. */
  async fault(): Promise<string | undefined> {
    try {
      await this.source.query('SELECT 1 FROM sqlite_master LIMIT 1');
      return undefined;
    } catch (error) {
      return (error as Error).message;
    }
  }

  /** Waits for the writes under way and closes the file. */
  async close(): Promise<void> {
    await this.turns.end();
    await this.source.destroy();
  }
}

const unavailable = (cause: unknown): MeshError =>
  new MeshError('store-unavailable', 'the database did not take the change; nothing was changed', [], {}, { cause });

async function connect(file: string): Promise<[DataSource, SqliteConnection]> {
  let connection: SqliteConnection | undefined;
  const source = new DataSource({
    type: 'better-sqlite3',
    database: file,
    timeout: LOCK_TIMEOUT_MS,
    entities: ENTITIES,
    migrations: MIGRATIONS,
    migrationsRun: true,
    migrationsTransactionMode: 'each',
    prepareDatabase: (opened: SqliteConnection) => {
      prepare(opened);
      connection = opened;
    },
  });
  try {
    await source.initialize();
    if (!connection) throw new Error('TypeORM opened no connection');
    return [source, connection];
  } catch (cause) {
    const { code = '', message } = cause as NodeJS.ErrnoException;
    const hint = HINTS.find(([pattern]) => pattern.test(`${code} ${message}`))?.[1] ?? message;
    throw new DatabaseUnusable(`cannot use the database ${file}: ${hint}`, { cause });
  }
}

/** As much of a better-sqlite3 connection as is used here. */
interface SqliteConnection {
  readonly inTransaction: boolean;
  pragma(text: string, options?: { readonly simple: true }): unknown;
  exec(sql: string): unknown;
}

/** One writer, readers undisturbed, a backup among them (WAL), and a commit that survives a power cut (FULL). */
function prepare(database: SqliteConnection): void {
  // Of a new file: what is free in it can be given back to the disk. It must be said before anything is written.
  database.pragma('auto_vacuum = INCREMENTAL');
  database.pragma('journal_mode = WAL');
  database.pragma('synchronous = FULL');
  database.pragma(`journal_size_limit = ${JOURNAL_BYTES}`);
  // Finds out now whether the file can be written.
  database.exec('BEGIN IMMEDIATE; COMMIT');
}

/** What is written first goes into a file beside the database, which keeps no more of the disk than this when it is done with. */
const JOURNAL_BYTES = 16 * 1024 * 1024;

const HINTS: readonly (readonly [RegExp, string])[] = [
  [/SQLITE_BUSY|locked/, 'another process has it open; stop that one, or choose another data directory'],
  [/SQLITE_READONLY|readonly/, 'it cannot be written; check its owner and mode'],
  [/SQLITE_IOERR|disk I\/O/, 'it cannot be read and written; check its owner, its mode and the disk'],
  [
    /SQLITE_CANTOPEN|unable to open|EACCES/,
    'it cannot be opened; check that it is a file in a directory that this user can write',
  ],
  [/SQLITE_NOTADB|not a database/, 'it is not a SQLite database'],
  [/SQLITE_CORRUPT|malformed/, 'it is damaged; restore the mesh from a backup (sluice server restore)'],
];
