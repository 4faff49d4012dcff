/** A server that cannot start says why in one line and ends with a code; one that can, keeps its secrets to itself. */
import { spawn } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { RestServer } from '../support/rest-server.js';
import { startSluice } from '../support/sluice.js';

const SLUICE = join(import.meta.dirname, '..', '..', 'bin', 'sluice');
const FREE_PORTS = ['--api-listen', '127.0.0.1:0', '--xds-listen', '127.0.0.1:0', '--join-listen', '127.0.0.1:0'];
const IS_ROOT = process.getuid?.() === 0;
/** Nobody, who may write nowhere; root may write everywhere, and tests are often root's. */
const NOBODY = 65_534;

let directory: string;
beforeEach(() => (directory = mkdtempSync(join(tmpdir(), 'sluice-startup-'))));
afterEach(() => rmSync(directory, { recursive: true, force: true }));

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs `sluice server` until it ends by itself. */
function server(args: readonly string[], options: { env?: NodeJS.ProcessEnv; uid?: number } = {}): Promise<Ended> {
  const { env = {}, uid } = options;
  const child = spawn(SLUICE, ['server', '--data-dir', directory, ...args], {
    env: { PATH: process.env['PATH'], HOME: directory, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(uid !== undefined && IS_ROOT && { uid, gid: uid }),
  });
  const output = { stdout: '', stderr: '' };
  child.stdout.on('data', (chunk: Buffer) => (output.stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (output.stderr += chunk.toString()));
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, ...output }));
  });
}

const inOneLine = ({ stderr }: Ended): string => {
  const lines = stderr.trim().split('\n');
  expect(lines, stderr).toHaveLength(1);
  return lines[0] ?? '';
};

describe('a server that cannot start', () => {
  it('says which setting it does not know', async () => {
    const ended = await server(FREE_PORTS, { env: { SLUICE_COLOUR: 'red' } });
    expect(ended.code).toBe(64);
    expect(inOneLine(ended)).toMatch(/unknown setting SLUICE_COLOUR; there are .*SLUICE_DATA_DIR/);
  });

  it('says all that is wrong with its settings, a line each', async () => {
    const ended = await server([
      '--api-listen',
      'here',
      '--trust-domain',
      'Mesh!',
      '--log-level',
      'loud',
      '--proxy-lease',
      'soon',
    ]);
    expect(ended.code).toBe(64);
    const lines = ended.stderr.trim().split('\n');
    expect(lines).toHaveLength(4);
    for (const flag of ['--api-listen', '--trust-domain', '--log-level', '--proxy-lease']) {
      expect(lines.filter((line) => line.includes(`${flag}=`))).toHaveLength(1);
    }
  });

  it('says which flag it does not know', async () => {
    const ended = await server(['--colour', 'red']);
    expect(ended.code).toBe(64);
    expect(ended.stderr).toContain('--colour');
  });

  it.each(['--api-listen', '--xds-listen', '--join-listen'])(
    'says that another process listens at %s',
    async (flag) => {
      const other = createServer().listen(0, '127.0.0.1');
      await new Promise((resolve) => other.once('listening', resolve));
      try {
        const { port } = other.address() as AddressInfo;
        const ended = await server([...FREE_PORTS, flag, `127.0.0.1:${port}`, '--log-level', 'error']);
        expect(ended.code).toBe(1);
        expect(inOneLine(ended)).toContain(`cannot listen on 127.0.0.1:${port}: another process does already`);
      } finally {
        other.close();
      }
    },
  );

  it('says that its database cannot be written', async () => {
    await RestServer.start({ dataDir: directory }).then(({ server }) => server.close());
    const database = join(directory, 'sluice.db');
    const others = [
      '',
      'authority',
      'authority/root.pem',
      'authority/issuer.pem',
      'admin.token',
      'trust-anchors.pem',
      'sluice.lock',
    ];
    // Modes do not stop root. As root, the server is run as nobody, who owns all but the database.
    if (IS_ROOT) for (const path of others) chownSync(join(directory, path), NOBODY, NOBODY);
    chmodSync(database, 0o444);
    const ended = await server([...FREE_PORTS, '--log-level', 'error'], { uid: NOBODY });
    expect(ended.code).toBe(1);
    expect(inOneLine(ended)).toMatch(
      /cannot use the database .*sluice\.db: it cannot be (read and written|written|opened)/,
    );
  });

  it.each([
    ['beneath a file', () => join(directory, 'file', 'data'), 'a part of the path is no directory'],
    ['where there is a file', () => join(directory, 'file'), 'it is no directory'],
    ['where the system has its own', () => '/proc/sluice/data', 'it cannot be made there'],
  ])('says that its data directory cannot be made %s', async (_, path, reason) => {
    writeFileSync(join(directory, 'file'), '');
    const ended = await server(['--data-dir', path()]);
    expect(ended.code).toBe(1);
    expect(inOneLine(ended)).toMatch(new RegExp(`cannot use .*: ${reason}$`));
  });

  it('says that others may write in its data directory', async () => {
    chmodSync(directory, 0o777);
    const ended = await server([...FREE_PORTS, '--log-level', 'error']);
    expect(ended.code).toBe(1);
    expect(inOneLine(ended)).toContain(`others may write in the data directory ${directory}; run: chmod go-w`);
  });

  it.runIf(IS_ROOT)('says that its data directory belongs to somebody else', async () => {
    chownSync(directory, NOBODY, NOBODY);
    const ended = await server([...FREE_PORTS, '--log-level', 'error']);
    expect(ended.code).toBe(1);
    expect(inOneLine(ended)).toContain(`the data directory ${directory} belongs to somebody else`);
  });

  it('says that another server has the data directory', async () => {
    await using first = await RestServer.start({ dataDir: directory });
    const ended = await server([...FREE_PORTS, '--log-level', 'error']);
    expect(ended.code).toBe(1);
    expect(inOneLine(ended)).toContain('another process has it open');
    expect((await first.call('GET', '/readyz')).status).toBe(200);
    mkdirSync(directory, { recursive: true });
  });

  it('says that a key can be read by others', async () => {
    await RestServer.start({ dataDir: directory }).then(({ server }) => server.close());
    chmodSync(join(directory, 'authority', 'root.pem'), 0o644);
    const ended = await server([...FREE_PORTS, '--log-level', 'error']);
    expect(ended.code).toBe(1);
    expect(inOneLine(ended)).toContain('chmod 600');
  });
});

describe('a server that runs', () => {
  it.each<[what: string, lose: () => void]>([
    ['gone', () => rmSync(join(directory, 'sluice.db'))],
    ['empty', () => truncateSync(join(directory, 'sluice.db'))],
  ])('says that the database of its mesh is %s, and makes no mesh in its place', async (_, lose) => {
    const before = await RestServer.start({ dataDir: directory });
    await before.server.close();
    const token = readFileSync(join(directory, 'admin.token'), 'utf8');
    lose();
    for (const file of ['sluice.db-wal', 'sluice.db-shm']) rmSync(join(directory, file), { force: true });
    const ended = await server(FREE_PORTS);
    expect(ended.code).toBe(1);
    expect(inOneLine(ended)).toMatch(/has lost its database .*sluice\.db; put it back, or restore a backup/);
    expect(readFileSync(join(directory, 'admin.token'), 'utf8')).toBe(token);
  });

  it('says that the authority of its mesh is gone, and leaves its place free for it', async () => {
    const before = await RestServer.start({ dataDir: directory });
    await before.server.close();
    rmSync(join(directory, 'authority'), { recursive: true });
    const ended = await server(FREE_PORTS);
    expect(ended.code).toBe(1);
    expect(inOneLine(ended)).toMatch(/has none; restore that directory from a backup/);
    expect(existsSync(join(directory, 'authority'))).toBe(false);
  });

  it('lets no neighbour open a debugger in it by a signal', async () => {
    await using sluice = await startSluice();
    sluice.server.signal('SIGUSR1');
    // It has had time to heed the signal when it has answered after it, and come to its own end.
    expect((await sluice.rest.get('/readyz')).status).toBe(200);
    expect(await sluice.stop()).toMatchObject({ code: 0 });
    expect(sluice.server.stderr).not.toMatch(/debugger/i);
  });
});

describe('a server that starts again', () => {
  it('is the same: mesh, authority, tokens', async () => {
    const first = await RestServer.start({ dataDir: directory });
    const body = { spec: { ports: [{ port: 80, protocol: 'HTTP' }] } };
    const put = await first.call('PUT', '/v1/namespaces/shop/services/kept', { body });
    await first.server.close();
    const again = await RestServer.start({ dataDir: directory });
    try {
      expect(again.token).toBe(first.token);
      expect(again.trustAnchors).toBe(first.trustAnchors);
      const kept = await again.call('GET', '/v1/namespaces/shop/services/kept');
      expect(kept.body).toMatchObject({ metadata: { revision: put.body.revision }, spec: body.spec });
    } finally {
      await again.server.close();
    }
  });

  it('keeps secrets in files of their owner, and out of the log', async () => {
    const first = await RestServer.start({ dataDir: directory });
    await first.server.close();
    for (const file of ['admin.token', 'authority/root.pem', 'authority/issuer.pem', 'sluice.db']) {
      expect(statSync(join(directory, file)).mode & 0o777, file).toBe(0o600);
    }
    expect(readFileSync(join(directory, 'admin.token'), 'utf8').trim()).toBe(first.token);
  });

  it('writes into no file that lies in wait for its secrets', async () => {
    const elsewhere = join(directory, 'elsewhere');
    writeFileSync(elsewhere, 'precious', { mode: 0o644 });
    for (const file of ['admin.token', 'trust-anchors.pem']) symlinkSync(elsewhere, join(directory, `${file}.new`));
    await using rest = await RestServer.start({ dataDir: directory });
    expect(readFileSync(elsewhere, 'utf8')).toBe('precious');
    expect(statSync(rest.server.files.adminToken).mode & 0o777).toBe(0o600);
  });

  it('never logs a token, not even one that is sent where a name belongs', async () => {
    await using sluice = await startSluice();
    const token = readFileSync(sluice.tokenFile, 'utf8').trim();
    expect((await sluice.rest.send({ method: 'DELETE', path: `/v1/tokens/${token}` })).status).toBe(404);
    await sluice.stop();
    expect(sluice.server.stderr).toContain('[redacted]');
    expect(sluice.server.stderr).not.toContain(token);
  });
});
