/**
 * A backup as a file: a database whole as it was at one moment, and in tables of their own the files that belong to it. Made while
 * a server writes, by a reader beside it; and looked at from every side before anything is made of it.
 */
import Sqlite from 'better-sqlite3';
import { MIGRATIONS } from './migrations/index.js';
import { NotSealed, seal, unseal } from './seal.js';

/** A file of the data directory, by its path in there. */
export interface KeptFile {
  readonly path: string;
  readonly content: Buffer;
}

/** What is in a backup. */
export interface BackupContent {
  /** ISO 8601. */
  readonly madeAt: string;
  /** The newest revision. */
  readonly revision: number;
  /** Sidecars that had joined, and had not ended. */
  readonly enrolments: number;
  /** By the fingerprint that the database knows it by. */
  readonly trustAnchor: string;
}

/** A file that is no whole backup, or none that can be read here; the message goes on from its name, and says what to do. */
export class NoBackup extends Error {
  override readonly name = 'NoBackup';
}

/** How long to wait for somebody who has the database for himself for a moment, in milliseconds. */
const TIMEOUT_MS = 10_000;
/** What we call the form of a backup; another form gets another number. */
const FORM = '1';

/**
 * Copies `database` into `target`, an empty file, as it is at one moment, and then what `filesOf` gives: by then, nothing in the
 * copy is newer than those.
 */
export function pack(database: string, target: string, filesOf: () => readonly KeptFile[]): BackupContent {
  const source = new Sqlite(database, { fileMustExist: true, timeout: TIMEOUT_MS });
  try {
    source.prepare('VACUUM INTO ?').run(target);
  } finally {
    source.close();
  }
  const packed = on(target, (copy) => {
    copy.exec('BEGIN');
    copy.exec('CREATE TABLE backup (what TEXT PRIMARY KEY NOT NULL, value TEXT NOT NULL)');
    copy.exec('CREATE TABLE backup_file (path TEXT PRIMARY KEY NOT NULL, content BLOB NOT NULL)');
    const add = copy.prepare('INSERT INTO backup_file VALUES (?, ?)');
    for (const { path, content } of filesOf()) add.run(path, content);
    const say = copy.prepare('INSERT INTO backup VALUES (?, ?)');
    say.run('made at', new Date().toISOString());
    say.run('form', FORM);
    copy.exec('COMMIT');
    return contentOf(copy);
  });
  seal(target);
  return packed;
}

/** Makes `database`, a new file, of the backup `file`, and gives what else that holds. Throws NoBackup. */
export function unpack(file: string, database: string): BackupContent & { readonly files: readonly KeptFile[] } {
  try {
    unseal(file, database);
    return on(database, (database) => {
      check(database);
      const files = database.prepare('SELECT path, content FROM backup_file ORDER BY path').all() as KeptFile[];
      const content = contentOf(database);
      // Private keys have a file of their own, and leave nothing here.
      database.pragma('secure_delete = ON');
      database.exec('DROP TABLE backup_file; DROP TABLE backup');
      return { ...content, files };
    });
  } catch (cause) {
    if (cause instanceof NotSealed) throw new NoBackup(cause.message, { cause });
    if (cause instanceof NoBackup || isOfTheSystem(cause)) throw cause;
    throw new NoBackup(`is damaged, or no backup (${(cause as Error).message}); restore from another one`, { cause });
  }
}

/** The disk is full, or the file may not be read: that says nothing of the backup. */
const isOfTheSystem = (cause: unknown): boolean => (cause as NodeJS.ErrnoException).syscall !== undefined;

/** Without a journal on the disk: whoever fails here throws the whole file away. */
function on<Result>(file: string, work: (database: Sqlite) => Result): Result {
  const database = new Sqlite(file, { fileMustExist: true });
  try {
    database.pragma('journal_mode = MEMORY');
    return work(database);
  } finally {
    database.close();
  }
}

function check(database: Sqlite): void {
  const tables = new Set(names(database, "SELECT name FROM sqlite_master WHERE type = 'table'"));
  if (!tables.has('backup') || !tables.has('backup_file')) {
    throw new NoBackup('is no backup; "sluice server backup FILE" makes one');
  }
  if (value(database, "SELECT value FROM backup WHERE what = 'form'") !== FORM) {
    throw new NoBackup(
      'is of a form that this version of sluice does not know; restore it with the version that made it',
    );
  }
  const faults = names(database, 'PRAGMA integrity_check(1)');
  if (faults.join() !== 'ok') throw new NoBackup(`is damaged (${faults.join()}); restore from another one`);
  const known = MIGRATIONS.map(({ name }) => name);
  const made = names(database, 'SELECT name FROM migrations ORDER BY timestamp');
  if (made.some((name, index) => name !== known[index])) {
    throw new NoBackup('was made by a newer version of sluice; restore it with that one');
  }
}

const contentOf = (database: Sqlite): BackupContent => ({
  madeAt: String(value(database, "SELECT value FROM backup WHERE what = 'made at'")),
  revision: Number(value(database, 'SELECT max(number) AS value FROM revision')),
  enrolments: Number(value(database, 'SELECT count(*) AS value FROM enrolment WHERE ended IS NULL')),
  trustAnchor: String(value(database, "SELECT value FROM remembered WHERE what = 'trust-anchor'")),
});

const value = (database: Sqlite, sql: string): unknown => (database.prepare(sql).get() as { value?: unknown })?.value;

/** The first column of what `sql` selects. */
const names = (database: Sqlite, sql: string): string[] =>
  database
    .prepare(sql)
    .all()
    .map((row) => String(Object.values(row as object)[0]));
