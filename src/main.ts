/** `sluice server`: reads the settings, starts, says where everything is, and stops when it is told to. */
import { existsSync } from 'node:fs';
import { flushCompileCache } from 'node:module';
import { DirectoryUnusable } from './data-directory.js';
import { AuthorityUnusable } from './identity/authority.js';
import { SettingsFaulty, readSettings, type Settings } from './settings.js';
import { DatabaseUnusable } from './store/database.js';
import { LockUnusable } from './store/directory-lock.js';
import { PortUnusable, startServer, type RunningServer } from './server.js';

/** Exit codes, as the other commands have them (BSD sysexits where there is one). */
const EXIT = { failed: 1, usage: 64 } as const;

/**
 * Runs the server until it is told to stop. `flags` are by the names of Settings; `others` are variables of the
 * environment that are somebody else's. Ends the process if it cannot start.
 */
export async function main(flags: Readonly<Partial<Record<string, string>>>, others: readonly string[]): Promise<void> {
  const { settings, server } = await start(flags, others);
  let stopping = false;
  const stop = (): void => {
    // Whoever asks twice means it.
    if (stopping) process.exit(EXIT.failed);
    stopping = true;
    server.close().then(
      () => process.exit(0),
      () => process.exit(EXIT.failed),
    );
  };
  // Before anybody is told that it is up: whoever hears that may stop it at once.
  process.on('SIGINT', stop).on('SIGTERM', stop);
  process.stdout.write(welcome(settings, server));
  // Kept now, for the next start: a server is often ended by a signal that leaves it no time.
  flushCompileCache();
}

async function start(
  flags: Readonly<Partial<Record<string, string>>>,
  others: readonly string[],
): Promise<{ readonly settings: Settings; readonly server: RunningServer }> {
  try {
    const settings = readSettings(flags, process.env, others);
    return { settings, server: await startServer(settings) };
  } catch (error) {
    if (error instanceof SettingsFaulty) return leave(error.message, EXIT.usage);
    const expected = [DatabaseUnusable, AuthorityUnusable, DirectoryUnusable, LockUnusable, PortUnusable].some(
      (type) => error instanceof type,
    );
    const { code, path } = error as NodeJS.ErrnoException;
    if (expected) return leave((error as Error).message, EXIT.failed);
    if (path !== undefined) return leave(`cannot use ${path}: ${REASONS[code ?? ''] ?? code}`, EXIT.failed);
    return leave((error as Error).stack ?? String(error), EXIT.failed);
  }
}

/** What the system's codes mean of a file or a directory. */
const REASONS: Readonly<Record<string, string>> = {
  EACCES: 'this user may not; check its owner and mode',
  EEXIST: 'it is no directory',
  ENOENT: 'it cannot be made there',
  ENOSPC: 'the disk is full',
  ENOTDIR: 'a part of the path is no directory',
  EROFS: 'the file system is read-only',
};

function leave(message: string, code: number): never {
  process.stderr.write(message.replaceAll(/^/gm, 'sluice server: ') + '\n');
  process.exit(code);
}

const welcome = ({ xdsListen, joinListen }: Settings, { url, xdsPort, joinPort, files }: RunningServer): string =>
  `Sluice is up.
  REST API       ${url}/v1
  Swagger UI     ${url}/docs
  OpenAPI        ${url}/openapi.json
  sidecars       join at ${joinListen.host}:${joinPort}, stream from ${xdsListen.host}:${xdsPort}
  first token    ${existsSync(files.adminToken) ? files.adminToken : 'not kept here any more'}
  trust anchors  ${files.trustAnchors}
`;
