/** One file that brings a mesh back as it was: made while its server writes, and looked at before anything is made of it. */
import { createRequire } from 'node:module';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { JoinedClient, type Doors } from '../support/grpc-client.js';
import { seal, unseal } from '../../src/store/seal.js';
import { removeAtEnd } from '../support/processes.js';
import { Sluice, startSluice, type CommandResult } from '../support/sluice.js';

interface Binding {
  pragma(text: string): unknown;
  prepare(sql: string): { run(...values: unknown[]): unknown };
  exec(sql: string): unknown;
  close(): void;
}
const Sqlite = createRequire(import.meta.url)('better-sqlite3') as new (file: string) => Binding;

const PERMISSION_DENIED = 7;
const WRITERS = 4;

let sluice: Sluice;
let directory: string;
let file: string;
const clients: JoinedClient[] = [];
beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'sluice-backup-'));
  removeAtEnd(directory);
  file = join(directory, 'backup');
  sluice = await startSluice();
});
afterAll(async () => {
  for (const client of clients) client.close();
  await sluice[Symbol.asyncDispose]();
});

const doorsOf = (one: Sluice): Doors => ({
  joinPort: Number(one.join.split(':').at(-1)),
  xdsPort: Number(one.xds.split(':').at(-1)),
  trustAnchors: readFileSync(one.trustAnchors, 'utf8'),
  joinToken: async (namespace, claims) => {
    const path = `/v1/namespaces/${namespace}/join-tokens`;
    return ((await one.rest.send({ method: 'POST', path, body: claims })).body as { token: string }).token;
  },
});

async function joined(name: string): Promise<JoinedClient> {
  const client = await JoinedClient.join(doorsOf(sluice), 'shop', { name, service: 'kept' });
  clients.push(client);
  await client.report({});
  return client;
}

const at = (one: Sluice, client: JoinedClient): JoinedClient => {
  const copy = client.copy(doorsOf(one));
  clients.push(copy);
  return copy;
};

const evict = (name: string) => sluice.rest.send({ method: 'DELETE', path: `/v1/namespaces/shop/workloads/${name}` });

const backUp = (path = file): Promise<CommandResult> =>
  sluice.cli(['server', 'backup', path, '--data-dir', sluice.home]);

/** As nobody would run it who has a server there: the directory is said, and nothing else. */
const restore = (from: string, into: string): Promise<CommandResult> =>
  sluice.cli(['server', 'restore', from, '--data-dir', into], { SLUICE_HOME: undefined });

interface KeptRevision {
  readonly number: number;
  readonly changes: readonly [{ ref: { name: string }; after: { spec: { backends: [{ weight: number }] } } }];
}

describe('a backup that is made while the server writes', () => {
  let restored: Sluice;
  const acknowledged: { readonly revision: number; readonly name: string; readonly weight: number }[] = [];
  const newest = (): number => Math.max(...acknowledged.map(({ revision }) => revision));
  let [before, during] = [0, 0];
  let stays: JoinedClient;
  let evictedBefore: JoinedClient;
  let evictedAfter: JoinedClient;
  let joinedAfter: JoinedClient;

  beforeAll(async () => {
    [stays, evictedBefore, evictedAfter] = await Promise.all([joined('stays'), joined('before'), joined('after')]);
    await evict('before');
    let isOver = false;
    const write = async (name: string): Promise<void> => {
      for (let weight = 1; !isOver; weight += 1) {
        const spec = { service: 'cart', backends: [{ service: 'cart-v1', weight }] };
        const { body } = await sluice.rest.put({ kind: 'TrafficSplit', metadata: { name }, spec });
        acknowledged.push({ revision: (body as { revision: number }).revision, name, weight });
      }
    };
    const writers = Promise.all(Array.from({ length: WRITERS }, (_, index) => write(`split-${index}`)));
    await sluice.server.until('a good many are acknowledged', () => acknowledged.length > 40);
    before = newest();
    const made = await backUp();
    during = newest();
    isOver = true;
    await writers;
    expect(made).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/holds revision \d+ and 2 sidecars/) as string,
    });
    expect(made.stderr).toContain('It holds the private keys of the mesh');
    await evict('after');
    joinedAfter = await joined('late');

    const home = join(directory, 'restored', 'deep');
    expect(await restore(file, home)).toMatchObject({ code: 0 });
    restored = new Sluice(home, {});
    await restored.start();
  });
  afterAll(() => restored[Symbol.asyncDispose]());

  it('holds exactly what was acknowledged up to one moment of it, in history and objects', async () => {
    const kept: KeptRevision[] = [];
    for (let next: string | undefined = ''; next !== undefined;) {
      const { body } = await restored.rest.get(`/v1/revisions?limit=1000${next && `&cursor=${next}`}`);
      kept.push(...(body as { items: KeptRevision[] }).items);
      ({ next } = body as { next?: string });
    }
    kept.reverse();
    const head = kept.length;
    expect(kept.map(({ number }) => number)).toEqual(kept.map((_, index) => index + 1));
    expect(head).toBeGreaterThanOrEqual(before);
    // What was on its way when it ended may not have been acknowledged yet.
    expect(head).toBeLessThanOrEqual(during + WRITERS);
    expect(head).toBeLessThan(newest() + 1);
    const last = new Map<string, number>();
    for (const { revision, name, weight } of acknowledged.filter((one) => one.revision <= head)) {
      expect(kept[revision - 1]?.changes).toMatchObject([
        { ref: { name }, after: { spec: { backends: [{ weight }] } } },
      ]);
      last.set(name, Math.max(weight, last.get(name) ?? 0));
    }
    const { body } = await restored.rest.get('/v1/namespaces/shop/traffic-splits?limit=1000');
    const { items } = body as { items: { metadata: { name: string }; spec: { backends: [{ weight: number }] } }[] };
    expect(new Map(items.map(({ metadata, spec }) => [metadata.name, spec.backends[0].weight]))).toEqual(last);
  });

  it('is believed by the sidecars that there were, and believes them', async () => {
    const client = at(restored, stays);
    await client.report({ ports: [{ port: 9_001 }] });
    const stream = client.stream();
    stream.send({ node: { id: 'shop/stays' }, type_url: 'type.googleapis.com/envoy.config.cluster.v3.Cluster' });
    await restored.server.until('it has its stream', async () => {
      const { body } = await restored.rest.get('/v1/proxies/shop/stays');
      return (body as { state: string }).state === 'connected';
    });
    stream.close();
    await client.renew();
    expect(readFileSync(restored.trustAnchors, 'utf8')).toBe(readFileSync(sluice.trustAnchors, 'utf8'));
  });

  it('opens to the tokens that there were', async () => {
    expect(readFileSync(restored.tokenFile, 'utf8')).toBe(readFileSync(sluice.tokenFile, 'utf8'));
    expect((await restored.rest.get('/v1/tokens')).status).toBe(200);
  });

  it('knows whom it knew: the evicted of before stay out, those of after are back, and who joined later joins again', async () => {
    await expect(at(restored, evictedBefore).report({})).rejects.toMatchObject({ code: PERMISSION_DENIED });
    await expect(at(sluice, evictedAfter).report({})).rejects.toMatchObject({ code: PERMISSION_DENIED });
    await at(restored, evictedAfter).report({});
    await expect(at(restored, joinedAfter).report({})).rejects.toMatchObject({ code: PERMISSION_DENIED });
  });

  it('is for its owner alone, as all that is made of it, and the keys are in one place only', async () => {
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(readdirSync(directory).sort()).toEqual(['backup', 'restored']);
    for (const path of ['sluice.db', 'admin.token', 'authority/root.pem', 'authority/issuer.pem']) {
      expect(statSync(join(restored.home, path)).mode & 0o777, path).toBe(0o600);
    }
    expect(statSync(join(restored.home, 'authority')).mode & 0o777).toBe(0o700);
    expect(readFileSync(file).includes('PRIVATE KEY')).toBe(true);
    expect(readFileSync(join(sluice.home, 'sluice.db')).includes('PRIVATE KEY')).toBe(false);
  });

  it('overwrites nothing', async () => {
    const kept = readFileSync(file);
    const again = await backUp();
    expect(again).toMatchObject({ code: 1, stdout: '' });
    expect(again.stderr).toContain(`${file} is there already, and a backup overwrites nothing; choose another name`);
    expect(readFileSync(file).equals(kept)).toBe(true);
    writeFileSync(join(directory, 'other.partial'), 'of somebody else');
    expect(await backUp(join(directory, 'other'))).toMatchObject({ code: 1 });
    expect(readFileSync(join(directory, 'other.partial'), 'utf8')).toBe('of somebody else');
    expect(existsSync(join(directory, 'other'))).toBe(false);
    rmSync(join(directory, 'other.partial'));
  });

  it('is refused where there is no mesh, and where it cannot be written, and leaves nothing', async () => {
    const nowhere = await sluice.cli([
      'server',
      'backup',
      join(directory, 'none'),
      '--data-dir',
      join(directory, 'empty'),
    ]);
    expect(nowhere).toMatchObject({ code: 1, stderr: expect.stringContaining('there is no mesh in') as string });
    const beneath = await backUp(join(file, 'beneath'));
    expect(beneath.code).toBe(1);
    const before = await sluice.cli(['server', '--data-dir', sluice.home, 'backup', join(directory, 'none')]);
    expect(before).toMatchObject({ code: 64, stderr: expect.stringContaining('flags stand after "backup"') as string });
    expect(readdirSync(directory).sort()).toEqual(['backup', 'restored']);
  });
});

describe('a restore', () => {
  let broken: string;
  let into: string;
  beforeEach(() => {
    const room = mkdtempSync(join(directory, 'room-'));
    broken = join(room, 'broken');
    into = join(room, 'made', 'data');
    copyFileSync(file, broken);
    chmodSync(broken, 0o600);
  });

  /** What `change` makes of the database of a backup, as somebody would have sealed it who knows how. */
  const sealed = (change: () => void) => (): void => {
    unseal(broken, `${broken}.db`);
    renameSync(`${broken}.db`, broken);
    change();
    seal(broken);
  };
  const sql = (text: string) =>
    sealed(() => {
      const database = new Sqlite(broken);
      database.exec(text);
      database.close();
    });

  it.each<[string, () => void, RegExp]>([
    ['that is cut short', () => truncateSync(broken, statSync(broken).size - 4_096), /is no backup, or was cut short/],
    ['of which there is hardly anything', () => truncateSync(broken, 10), /is no backup, or was cut short/],
    ['that is empty', () => truncateSync(broken, 0), /"sluice server backup FILE" makes one/],
    ['that is a letter', () => writeFileSync(broken, 'dear aunt '.repeat(1_000)), /is no backup, or was cut short/],
    [
      'that is a letter with a seal',
      sealed(() => writeFileSync(broken, 'dear aunt '.repeat(1_000))),
      /is damaged, or no/,
    ],
    [
      'that was cut short, and sealed',
      sealed(() => truncateSync(broken, statSync(broken).size - 8_192)),
      /is damaged, or no backup/,
    ],
    ['that is not there', () => rmSync(broken), /is no file/],
    [
      'in which a page is one of another time, which no database notices',
      () => {
        const bytes = readFileSync(broken);
        bytes.copy(bytes, 3 * 4_096, 2 * 4_096, 3 * 4_096);
        writeFileSync(broken, bytes);
      },
      /is damaged: it is not what was written/,
    ],
    [
      'that is a database of somebody else',
      () => {
        rmSync(broken);
        const other = new Sqlite(broken);
        other.pragma('journal_mode = WAL');
        other.exec('CREATE TABLE letters (text TEXT)');
        other.close();
        seal(broken);
      },
      /is no backup; "sluice server backup/,
    ],
    [
      'that lost its end',
      sql("DELETE FROM backup WHERE what = 'form'"),
      /form that this version of sluice does not know/,
    ],
    [
      'of a newer version',
      sql("INSERT INTO migrations (timestamp, name) VALUES (1999999999999, 'Later1999999999999')"),
      /was made by a newer version of sluice/,
    ],
    [
      'without its keys',
      sql("DELETE FROM backup_file WHERE path = 'authority/root.pem'"),
      /does not hold authority\/root\.pem/,
    ],
    [
      'with a file that is none of ours',
      sql("INSERT INTO backup_file VALUES ('../../escaped', x'00')"),
      /holds "\.\.\/\.\.\/escaped", which is no file of ours/,
    ],
    [
      'with the keys of another mesh',
      sql("UPDATE remembered SET value = 'ab' WHERE what = 'trust-anchor'"),
      /an authority that is not that of its mesh/,
    ],
    [
      'with keys that are not those of its certificates',
      sql(
        "UPDATE backup_file SET content = (SELECT CAST(substr(CAST(a.content AS TEXT), 1, instr(CAST(a.content AS TEXT), '-----BEGIN PRIVATE')-1) || substr(CAST(b.content AS TEXT), instr(CAST(b.content AS TEXT), '-----BEGIN PRIVATE')) AS BLOB) FROM backup_file a, backup_file b WHERE a.path = 'authority/root.pem' AND b.path = 'authority/issuer.pem') WHERE path = 'authority/root.pem'",
      ),
      /an authority that is not that of its mesh/,
    ],
  ])('of a file %s is refused, and leaves no trace', async (_, spoil, why) => {
    spoil();
    const [room, bytes] = [join(into, '..', '..'), existsSync(broken) ? readFileSync(broken) : undefined];
    const beside = readdirSync(room);
    const refused = await restore(broken, into);
    expect(refused).toMatchObject({ code: 65, stdout: '' });
    expect(refused.stderr).toMatch(why);
    expect(refused.stderr.trim().split('\n')).toHaveLength(1);
    expect(readdirSync(room)).toEqual(beside);
    if (bytes) expect(readFileSync(broken).equals(bytes)).toBe(true);
  });

  it('into a directory that holds anything is refused, and so is one into that of a server that runs', async () => {
    mkdirSync(into, { recursive: true });
    writeFileSync(join(into, 'letter'), 'dear aunt');
    for (const [path, files] of [
      [into, ['letter']],
      [sluice.home, readdirSync(sluice.home)],
    ] as const) {
      const refused = await restore(file, path);
      expect(refused.code).toBe(1);
      expect(refused.stderr).toMatch(
        /is not empty \(.*\), and nothing that a mesh keeps is overwritten; choose another/,
      );
      expect(readdirSync(path)).toEqual(files);
    }
  });

  it('takes an empty directory as it is, and does not take it away when it fails', async () => {
    mkdirSync(into, { recursive: true, mode: 0o700 });
    mkdirSync(join(into, 'lost+found'));
    truncateSync(broken, 5_000);
    expect((await restore(broken, into)).code).toBe(65);
    expect(readdirSync(into)).toEqual(['lost+found']);
    expect((await restore(file, into)).code).toBe(0);
    expect(readdirSync(into).sort()).toEqual(['admin.token', 'authority', 'lost+found', 'sluice.db', 'sluice.lock']);
  });

  it('that was cut short is not taken for a mesh', async () => {
    mkdirSync(join(into, 'restore.partial'), { recursive: true, mode: 0o700 });
    const args = ['server', '--data-dir', into, '--api-listen', '127.0.0.1:0', '--xds-listen', '127.0.0.1:0'];
    const started = await sluice.cli([...args, '--join-listen', '127.0.0.1:0'], { SLUICE_HOME: undefined });
    expect(started).toMatchObject({ code: 1, stderr: expect.stringContaining('was cut short') as string });
    expect((await restore(file, into)).code).toBe(1);
    expect(readdirSync(into)).toEqual(['restore.partial']);
  });
});
