/** The directory that the server keeps everything in, and the files of it that people and sidecars look for. */
import { existsSync, lstatSync, mkdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { writeWhole } from './store/whole-file.js';

/** A directory that cannot be trusted with keys; the message says which, why and what to do, in one line. */
export class DirectoryUnusable extends Error {
  override readonly name = 'DirectoryUnusable';
}

/** What a restore has in its directory until that is whole. */
export const RESTORING = 'restore.partial';

export class DataDirectory {
  readonly database: string;
  readonly authority: string;
  readonly trustAnchors: string;
  readonly adminToken: string;
  /** What a server holds as long as it runs. */
  readonly lock: string;

  private constructor(readonly path: string) {
    this.database = join(path, 'sluice.db');
    this.authority = join(path, 'authority');
    this.trustAnchors = join(path, 'trust-anchors.pem');
    this.adminToken = join(path, 'admin.token');
    this.lock = join(path, 'sluice.lock');
  }

  /** Makes the directory unless it is there. From then on, what this process writes is nobody else's to read. */
  static open(path: string): DataDirectory {
    process.umask(0o077);
    makeDirectory(path);
    checkOwner(path);
    if (existsSync(join(path, RESTORING))) {
      throw new DirectoryUnusable(
        `a restore into ${path} is under way, or was cut short; if none is, remove what is in there, and restore again`,
      );
    }
    return new DataDirectory(path);
  }

  /** Puts one of the files in place whole. What lies about by the name of its draft, a link perhaps, is not written to. */
  write(file: string, text: string, mode: number): void {
    writeWhole(file, text, mode);
  }
}

/** Whoever owns a directory, or may write in it, can put keys of his own there, and read what is made of them. */
function checkOwner(path: string): void {
  const { uid, mode } = statSync(path);
  const trusted = [process.geteuid?.() ?? uid, 0];
  // A link is as good as who made it.
  if (!trusted.includes(uid) || !trusted.includes(lstatSync(path).uid)) {
    throw new DirectoryUnusable(`the data directory ${path} belongs to somebody else; choose another one`);
  }
  if ((mode & 0o022) !== 0) {
    throw new DirectoryUnusable(`others may write in the data directory ${path}; run: chmod go-w ${path}`);
  }
}

/** Makes a directory, and those above it, unless it is there. mkdir's own way to do so never ends beneath /proc. */
function makeDirectory(path: string): void {
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST' && statSync(path).isDirectory()) return;
    if (code !== 'ENOENT' || dirname(path) === path || existsSync(dirname(path))) throw error;
    makeDirectory(dirname(path));
    makeDirectory(path);
  }
}
