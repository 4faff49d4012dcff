/**
 * Keeps a data directory to one server. The lock is one of the system's on a file that holds nothing else: it ends with the
 * process, however that ends, and others may read the database meanwhile.
 */
import Sqlite from 'better-sqlite3';

/** A directory that cannot be had; the message says which, why and what to do, in one line. */
export class LockUnusable extends Error {
  override readonly name = 'LockUnusable';
}

/** How long to wait for whoever has it, in milliseconds: enough for a server that is just stopping. */
const TIMEOUT_MS = 1_000;

export class DirectoryLock {
  private constructor(private readonly held: Sqlite) {}

  /** Takes the lock of `directory`, which is that of `file`. Throws LockUnusable. */
  static take(directory: string, file: string): DirectoryLock {
    // SQLite knows how to lock a file on every system; Node does not. Nothing is ever written into it.
    let held: Sqlite | undefined;
    try {
      held = new Sqlite(file, { timeout: TIMEOUT_MS });
      held.pragma('journal_mode = MEMORY');
      held.exec('BEGIN EXCLUSIVE');
      return new DirectoryLock(held);
    } catch (cause) {
      held?.close();
      const isTaken = (cause as NodeJS.ErrnoException).code === 'SQLITE_BUSY';
      const why = isTaken
        ? 'another process has it open; stop that one, or choose another data directory'
        : `${file} cannot be locked; check its owner and mode`;
      throw new LockUnusable(`cannot use the data directory ${directory}: ${why}`, { cause });
    }
  }

  /** Lets others have it. The file stays: whoever removed it could remove the lock of the next one. */
  release(): void {
    this.held.close();
  }
}
