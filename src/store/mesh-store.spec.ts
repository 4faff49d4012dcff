/** What every store of the mesh must do, on each database that there is: the contract that a further one has to pass. */
import { mkdtempSync, rmSync, writeFileSync, mkdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Draft } from '../model/document.js';
import { MeshError } from '../model/mesh-error.js';
import { Database } from './database.js';
import { RevisionRow } from './entities.js';
import { MeshStore } from './mesh-store.js';

let directory: string;
let open: Database[];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'sluice-store-'));
  open = [];
});

afterEach(async () => {
  for (const database of open) await database.close();
  rmSync(directory, { recursive: true });
});

const database = async (file: string): Promise<Database> => {
  const opened = await Database.open(file);
  open.push(opened);
  return opened;
};

const databases = [
  { name: 'SQLite in memory', file: () => ':memory:' },
  { name: 'SQLite in a file', file: () => join(directory, 'sluice.db') },
];

const split = (weight: number, more: Partial<Draft> = {}): Draft => ({
  kind: 'TrafficSplit',
  namespace: 'shop',
  name: 'cart',
  labels: {},
  annotations: {},
  origin: 'rest',
  spec: { service: 'cart', backends: [{ service: 'cart-v1', weight }] },
  ...more,
});

const ref = { kind: 'TrafficSplit', namespace: 'shop', name: 'cart' } as const;
const ada = { author: 'ada', comment: 'because' };

describe.each(databases)('a store on $name', ({ file }) => {
  const at = new Date('2026-01-02T03:04:05.678Z');
  const openStore = async () => MeshStore.open(await database(file()), 'sluice.local', () => at);

  it('begins with an empty mesh at revision 0', async () => {
    const store = await openStore();
    expect(store.current.revision).toBe(0);
    expect(store.current.mesh.TrafficSplit.size).toBe(0);
    expect(store.current.mesh.trustDomain).toBe('sluice.local');
  });

  it('commits a change as a revision with author, comment, time, before and after', async () => {
    const store = await openStore();
    await store.commit(() => ({ put: [split(1)] }), ada);
    const { revision } = await store.commit(() => ({ put: [split(2)] }), ada);
    const kept = await store.revision(revision);
    expect(kept).toMatchObject({ number: 2, author: 'ada', comment: 'because', at: at.toISOString() });
    expect(kept?.changes).toMatchObject([
      { ref, before: { spec: { backends: [{ weight: 1 }] } }, after: { spec: { backends: [{ weight: 2 }] } } },
    ]);
  });

  it('fills in what the server knows of an object, and keeps when it was created', async () => {
    let now = new Date(0);
    const store = await MeshStore.open(await database(file()), 'sluice.local', () => now);
    await store.commit(() => ({ put: [split(1)] }), ada);
    now = new Date(1_000);
    await store.commit(() => ({ put: [split(2)] }), ada);
    expect(store.current.mesh.TrafficSplit.get('shop/cart')?.metadata).toMatchObject({
      revision: 2,
      origin: 'rest',
      createdAt: new Date(0).toISOString(),
      updatedAt: new Date(1_000).toISOString(),
    });
  });

  it('makes no revision of a change that changes nothing', async () => {
    const store = await openStore();
    await store.commit(() => ({ put: [split(1)] }), ada);
    const before = store.current;
    const same = await store.commit(() => ({ put: [split(1)] }), ada);
    expect(same).toMatchObject({ revision: 1, changed: false });
    expect(store.current).toBe(before);
    expect((await store.revisions(10)).revisions).toHaveLength(1);
  });

  it('does not care in which order the fields of an object come', async () => {
    const store = await openStore();
    await store.commit(() => ({ put: [split(1)] }), ada);
    const reordered = { backends: [{ weight: 1, service: 'cart-v1' }], service: 'cart' };
    expect(await store.commit(() => ({ put: [split(1, { spec: reordered })] }), ada)).toMatchObject({ changed: false });
  });

  it('commits a change set whole, as one revision', async () => {
    const store = await openStore();
    const other = split(1, { name: 'other' });
    await store.commit(() => ({ put: [split(1), other] }), ada);
    expect(store.current.revision).toBe(1);
    expect([...store.current.mesh.TrafficSplit.keys()].sort()).toEqual(['shop/cart', 'shop/other']);
  });

  it('commits nothing of a change set of which one part is refused', async () => {
    const store = await openStore();
    const missing = { ...ref, name: 'missing' };
    await expect(store.commit(() => ({ put: [split(1)], remove: [missing] }), ada)).rejects.toThrow('there is no');
    expect(store.current).toMatchObject({ revision: 0 });
    expect(store.current.mesh.TrafficSplit.size).toBe(0);
    expect((await store.revisions(10)).revisions).toEqual([]);
  });

  it('removes an object and remembers what it was', async () => {
    const store = await openStore();
    await store.commit(() => ({ put: [split(1)] }), ada);
    await store.commit(() => ({ remove: [ref] }), ada);
    expect(store.current.mesh.TrafficSplit.size).toBe(0);
    const [change] = (await store.revision(2))?.changes ?? [];
    expect(change?.before).toMatchObject({ kind: 'TrafficSplit' });
    expect(change).not.toHaveProperty('after');
  });

  it('refuses a change that is based on an older revision of the object', async () => {
    const store = await openStore();
    await store.commit(() => ({ put: [split(1)] }), ada);
    await store.commit(() => ({ put: [split(2, { basedOn: 1 })] }), ada);
    const late = store.commit(() => ({ put: [split(3, { basedOn: 1 })] }), ada);
    await expect(late).rejects.toMatchObject({ code: 'stale-revision' });
    const again = store.commit(() => ({ put: [split(3, { basedOn: 0 })] }), ada);
    await expect(again).rejects.toMatchObject({ code: 'stale-revision' });
    expect(store.current.revision).toBe(2);
  });

  it('refuses to let one origin change what another one registered', async () => {
    const store = await openStore();
    await store.commit(() => ({ put: [split(1, { origin: 'sidecar' })] }), ada);
    await expect(store.commit(() => ({ put: [split(2)] }), ada)).rejects.toMatchObject({ code: 'conflict' });
  });

  it('gives every change its turn, and each sees the one before', async () => {
    const store = await openStore();
    const add = () =>
      store.commit(({ mesh }) => {
        const before = mesh.TrafficSplit.get('shop/cart')?.spec.backends[0]?.weight ?? 0;
        return { put: [split(before + 1)] };
      }, ada);
    await Promise.all(Array.from({ length: 50 }, add));
    expect(store.current.revision).toBe(50);
    expect(store.current.mesh.TrafficSplit.get('shop/cart')?.spec.backends[0]?.weight).toBe(50);
  });

  it('tells of every commit, in order, and of nothing else', async () => {
    const store = await openStore();
    const told: number[] = [];
    const stop = store.onCommit(({ revision }) => told.push(revision));
    await store.commit(() => ({ put: [split(1)] }), ada);
    await store.commit(() => ({ put: [split(1)] }), ada);
    await store.commit(() => ({ put: [split(2)] }), ada);
    stop();
    await store.commit(() => ({ put: [split(3)] }), ada);
    expect(told).toEqual([1, 2]);
  });

  it('holds what it would read back, and nothing that is only undefined', async () => {
    const store = await openStore();
    const spec = { service: 'cart', match: undefined, backends: [{ service: 'cart-v1', weight: 1, note: undefined }] };
    await store.commit(() => ({ put: [split(1, { spec })] }), ada);
    const held = store.current.mesh.TrafficSplit.get('shop/cart')?.spec;
    expect(Object.keys(held ?? {}).sort()).toEqual(['backends', 'service']);
    expect(Object.keys(held?.backends[0] ?? {}).sort()).toEqual(['service', 'weight']);
  });

  it('leaves an older mesh as it was', async () => {
    const store = await openStore();
    await store.commit(() => ({ put: [split(1)] }), ada);
    const { mesh } = store.current;
    await store.commit(() => ({ put: [split(2)] }), ada);
    expect(mesh.TrafficSplit.get('shop/cart')?.spec.backends[0]?.weight).toBe(1);
  });

  it('lists revisions newest first, page by page', async () => {
    const store = await openStore();
    for (const weight of [1, 2, 3]) await store.commit(() => ({ put: [split(weight)] }), ada);
    const numbers = async (limit: number, before?: number) =>
      (await store.revisions(limit, before)).revisions.map(({ number }) => number);
    expect(await numbers(2)).toEqual([3, 2]);
    expect(await numbers(2, 2)).toEqual([1]);
    expect((await store.revisions(3)).more).toBe(false);
    expect((await store.revisions(2)).more).toBe(true);
  });

  it('lists fewer revisions when they are large, but one at least', async () => {
    const store = await openStore();
    const large = (size: number) => ({ put: [split(1, { annotations: { note: 'x'.repeat(size) } })] });
    for (const size of [5_000_000, 1_000_000, 1_000_001, 10]) await store.commit(() => large(size), ada);
    const page = async (before?: number) => {
      const { revisions, more } = await store.revisions(10, before);
      return [...revisions.map(({ number }) => number), more];
    };
    expect(await page()).toEqual([4, 3, true]);
    expect(await page(3)).toEqual([2, true]);
    expect(await page(2)).toEqual([1, false]);
  });

  it('keeps nothing open around what it commits after its database has ended transactions by itself', async () => {
    const failing = await database(file());
    const store = await MeshStore.open(failing, 'sluice.local');
    const run = (sql: string): Promise<unknown> => failing.rows(RevisionRow).query(sql);
    await store.commit(() => ({ put: [split(1)] }), ada);
    // A full disk ends one statement and lets its transaction go on, and ends another with all that came before.
    for (const how of ['ROLLBACK', 'ABORT']) {
      await run(
        `CREATE TEMP TRIGGER full BEFORE INSERT ON revision BEGIN SELECT RAISE(${how}, 'the disk is full'); END`,
      );
      const refused = store.commit(() => ({ put: [split(2)] }), ada);
      await expect(refused).rejects.toMatchObject({ code: 'store-unavailable' });
      await run('DROP TRIGGER full');
    }
    expect((await store.commit(() => ({ put: [split(4)] }), ada)).revision).toBe(2);
    // A transaction begins only where none is open.
    await run('BEGIN');
    await run('ROLLBACK');
    expect((await store.revisions(10)).revisions.map(({ number }) => number)).toEqual([2, 1]);
  });

  it('serves what it knows and refuses writes when its database is gone', async () => {
    const lost = await Database.open(file());
    const store = await MeshStore.open(lost, 'sluice.local');
    await store.commit(() => ({ put: [split(1)] }), ada);
    await lost.close();
    const refused = await store.commit(() => ({ put: [split(2)] }), ada).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(MeshError);
    expect(refused).toMatchObject({ code: 'store-unavailable' });
    expect(store.current.revision).toBe(1);
    expect(store.current.mesh.TrafficSplit.get('shop/cart')?.spec.backends[0]?.weight).toBe(1);
  });
});

describe('a database file', () => {
  it('gives the same mesh back when it is opened again', async () => {
    const file = join(directory, 'sluice.db');
    const first = await Database.open(file);
    const store = await MeshStore.open(first, 'sluice.local');
    await store.commit(() => ({ put: [split(1), split(1, { name: 'other' })] }), ada);
    await store.commit(() => ({ remove: [{ ...ref, name: 'other' }] }), ada);
    await first.close();
    const again = await MeshStore.open(await database(file), 'sluice.local');
    expect(again.current).toEqual(store.current);
  });

  it.each([
    ['is open elsewhere', async (file: string) => void (await database(file)), /another process has it open/],
    [
      'is not a database',
      (file: string) => writeFileSync(file, 'a letter to my aunt, and quite a long one'),
      /not a SQLite database/,
    ],
    ['is a directory', (file: string) => mkdirSync(file), /a file in a directory/],
  ])('says in one line why it cannot be used when it %s', async (_, spoil, reason) => {
    const file = join(directory, 'inner', 'sluice.db');
    mkdirSync(join(directory, 'inner'));
    await Promise.resolve(spoil(file));
    const failure = await Database.open(file).catch((error: unknown) => error as Error);
    expect(failure).toMatchObject({ name: 'DatabaseUnusable' });
    expect((failure as Error).message).toMatch(reason);
    expect((failure as Error).message).not.toContain('\n');
  });
});
