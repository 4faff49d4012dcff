/** Copies a data directory into one file while its server runs, and makes a data directory of such a file. */
import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  rmdirSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { DataDirectory, RESTORING } from './data-directory.js';
import { Authority } from './identity/authority.js';
import { NoBackup, pack, unpack, type BackupContent, type KeptFile } from './store/backup.js';
import { DirectoryLock } from './store/directory-lock.js';

export type { BackupContent } from './store/backup.js';

/** A copy that was not made; nothing is left of it. The message says why and what to do. */
export class CopyRefused extends Error {
  override readonly name = 'CopyRefused';

  constructor(
    message: string,
    /** What is wrong is the backup. */
    readonly isBadFile = false,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** What is kept beside the database, and whether there is no mesh without it. The names in a backup are taken from here alone. */
const KEPT: Readonly<Record<string, { readonly isNeeded: boolean }>> = {
  'authority/root.pem': { isNeeded: true },
  'authority/issuer.pem': { isNeeded: true },
  'admin.token': { isNeeded: false },
};

/** What may lie in a directory that nothing was kept in yet: the lock of nobody, and what file systems have at their roots. */
const NOTHING = ['sluice.lock', 'lost+found'];

/** Copies what is in `dataDir` into `file`, which must not be there. Only its owner can read it. Throws CopyRefused. */
export function backUp(dataDir: string, file: string): BackupContent {
  const [source, target] = [join(dataDir, 'sluice.db'), resolve(file)];
  if (!existsSync(source) || existsSync(join(dataDir, RESTORING))) {
    throw new CopyRefused(`there is no mesh in ${dataDir}; say where it is with --data-dir`);
  }
  refuseExisting(target, `${target} is there already, and a backup overwrites nothing; choose another name`);
  process.umask(0o077);
  // By another name until it is whole: what has the name of a backup is one.
  const draft = `${target}.partial`;
  refuseExisting(
    draft,
    `${draft} is there: another backup is being written, or one was cut short; if none is, remove that file`,
  );
  const made: string[] = [];
  const make = (path: string): void => {
    closeSync(openSync(path, 'wx', 0o600));
    made.push(path);
  };
  try {
    make(draft);
    const content = pack(source, draft, () => keptFiles(dataDir));
    toDisk(draft);
    make(target);
    renameSync(draft, target);
    toDisk(dirname(target));
    return content;
  } catch (cause) {
    for (const path of made) rmSync(path, { force: true });
    throw refusal(cause, `${dataDir} cannot be copied into ${target}`);
  }
}

/**
 * Makes of `file`, a backup, what `dataDir` is to hold, which must be empty: all of it or nothing. Gives what that is, and the trust
 * domain of the mesh. Throws CopyRefused.
 */
export async function restore(
  file: string,
  dataDir: string,
): Promise<BackupContent & { readonly trustDomain: string }> {
  const path = resolve(dataDir);
  if (!existsSync(file) || !statSync(file).isFile()) throw new CopyRefused(`${file} is no file`, true);
  refuseFull(path);
  const missing = missingOf(path);
  const made: string[] = [];
  let lock: DirectoryLock | undefined;
  try {
    const directory = DataDirectory.open(path);
    const isFirst = !existsSync(directory.lock);
    lock = DirectoryLock.take(path, directory.lock);
    if (isFirst) made.push(directory.lock);
    // Somebody may have been here in between; from now on, nobody is.
    refuseFull(path);
    const stage = join(path, RESTORING);
    mkdirSync(stage, { mode: 0o700 });
    made.push(stage);
    const content = await unpackInto(stage, resolve(file));
    for (const name of readdirSync(stage)) {
      renameSync(join(stage, name), join(path, name));
      made.push(join(path, name));
    }
    toDisk(path);
    // With this, it is whole: a server may start.
    rmSync(stage, { recursive: true });
    toDisk(path);
    return content;
  } catch (cause) {
    for (const one of made) rmSync(one, { recursive: true, force: true });
    // Directories that somebody else has put something into meanwhile stay.
    for (const one of missing) if (existsSync(one) && readdirSync(one).length === 0) rmdirSync(one);
    if (cause instanceof NoBackup) throw new CopyRefused(`${file} ${cause.message}`, true, { cause });
    throw refusal(cause, `${file} cannot be restored into ${path}`);
  } finally {
    lock?.release();
  }
}

/** Has all of a backup in `stage`, as it is to be, and on the disk. */
async function unpackInto(stage: string, file: string): Promise<BackupContent & { readonly trustDomain: string }> {
  const database = join(stage, 'sluice.db');
  const { files, ...content } = unpack(file, database);
  const foreign = files.find(({ path }) => !Object.hasOwn(KEPT, path));
  if (foreign)
    throw new NoBackup(`holds ${JSON.stringify(foreign.path)}, which is no file of ours; restore from another one`);
  const lacking = Object.entries(KEPT).find(
    ([path, { isNeeded }]) => isNeeded && !files.some((one) => one.path === path),
  );
  if (lacking) throw new NoBackup(`does not hold ${lacking[0]}; restore from another one`);
  mkdirSync(join(stage, 'authority'), { mode: 0o700 });
  for (const { path, content: bytes } of files) {
    writeFileSync(join(stage, path), bytes, { mode: 0o600, flag: 'wx' });
    toDisk(join(stage, path));
  }
  const trustDomain = await Authority.check(join(stage, 'authority'), content.trustAnchor).catch((cause: unknown) => {
    throw new NoBackup('holds an authority that is not that of its mesh; restore from another one', { cause });
  });
  for (const one of [database, join(stage, 'authority'), stage]) toDisk(one);
  return { ...content, trustDomain };
}

const keptFiles = (dataDir: string): KeptFile[] =>
  Object.entries(KEPT).flatMap(([path, { isNeeded }]) =>
    isNeeded || existsSync(join(dataDir, path)) ? { path, content: readFileSync(join(dataDir, path)) } : [],
  );

function refuseExisting(file: string, message: string): void {
  if (existsSync(file)) throw new CopyRefused(message);
}

function refuseFull(path: string): void {
  const found = existsSync(path) ? readdirSync(path).filter((name) => !NOTHING.includes(name)) : [];
  if (found.length === 0) return;
  const some = found.slice(0, 3).join(', ');
  throw new CopyRefused(
    `${path} is not empty (${some}${found.length > 3 ? ', ...' : ''}), and nothing that a mesh keeps is overwritten; choose another directory with --data-dir, or stop its server and move it away`,
  );
}

/** The directories of `path` that are not there, from the last one up. */
const missingOf = (path: string): string[] => (existsSync(path) ? [] : [path, ...missingOf(dirname(path))]);

/** What was written of a file, or which names a directory has, is there after a power cut. */
function toDisk(path: string): void {
  const descriptor = openSync(path, 'r');
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

const refusal = (cause: unknown, what: string): CopyRefused =>
  cause instanceof CopyRefused ? cause : new CopyRefused(`${what}: ${(cause as Error).message}`, false, { cause });
