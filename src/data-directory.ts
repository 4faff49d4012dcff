/** The directory that the server keeps everything in, and the files of it that people and sidecars look for. */
import { chmodSync, existsSync, mkdirSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

export class DataDirectory {
  readonly database: string;
  readonly authority: string;
  readonly trustAnchors: string;
  readonly adminToken: string;

  private constructor(path: string) {
    this.database = join(path, 'sluice.db');
    this.authority = join(path, 'authority');
    this.trustAnchors = join(path, 'trust-anchors.pem');
    this.adminToken = join(path, 'admin.token');
  }

  /** Makes the directory unless it is there. From then on, what this process writes is nobody else's to read. */
  static open(path: string): DataDirectory {
    process.umask(0o077);
    makeDirectory(path);
    return new DataDirectory(path);
  }

  /** Puts one of the files in place whole. */
  write(file: string, text: string, mode: number): void {
    writeFileSync(`${file}.new`, text, { mode, flush: true });
    chmodSync(`${file}.new`, mode);
    renameSync(`${file}.new`, file);
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
