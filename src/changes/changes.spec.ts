/** What changing the mesh must do on each database that there is: the contract that a further one has to pass. */
import { mkdtempSync, rmSync, writeFileSync, mkdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Draft } from '../model/document.js';
import { MeshError } from '../model/mesh-error.js';
import { Database } from '../store/database.js';
import { RevisionRow } from '../store/entities.js';
import { SqlRevisionLog } from '../store/revision-log.js';
import { Worlds } from '../world/fold.js';
import { Changes } from './changes.js';

let directory: string;
let opened: Database[];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'sluice-store-'));
  opened = [];
});

afterEach(async () => {
  for (const database of opened) await database.close();
  rmSync(directory, { recursive: true });
});

const database = async (file: string): Promise<Database> => {
  const one = await Database.open(file);
  opened.push(one);
  return one;
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

/** The log on a database, the world that it makes, and the way to change it. */
async function openOn(opened: Database, clock = () => new Date()) {
  const log = await SqlRevisionLog.open(opened);
  const source = { origin: 'rest', documents: await log.documents(), onChange: log.onChange.bind(log) } as const;
  const worlds = new Worlds('sluice.local', [source], log.head);
  return { log, worlds, changes: new Changes(log, worlds, clock) };
}

const weightIn = ({ worlds }: { readonly worlds: Worlds }): number | undefined =>
  worlds.current.mesh.TrafficSplit.get('shop/cart')?.spec.backends[0]?.weight;

describe.each(databases)('changes on $name', ({ file }) => {
  const at = new Date('2026-01-02T03:04:05.678Z');
  const open = async () => openOn(await database(file()), () => at);

  it('begins with an empty mesh at revision 0', async () => {
    const store = await open();
    expect(store.worlds.current.revision).toBe(0);
    expect(store.worlds.current.mesh.TrafficSplit.size).toBe(0);
    expect(store.worlds.current.mesh.trustDomain).toBe('sluice.local');
  });

  it('commits a change as a revision with author, comment, time, before and after', async () => {
    const store = await open();
    await store.changes.commit(ada, { put: [split(1)] });
    const { revision } = await store.changes.commit(ada, { put: [split(2)] });
    const kept = await store.log.revision(revision);
    expect(kept).toMatchObject({ number: 2, author: 'ada', comment: 'because', at: at.toISOString() });
    expect(kept?.changes).toMatchObject([
      { ref, before: { spec: { backends: [{ weight: 1 }] } }, after: { spec: { backends: [{ weight: 2 }] } } },
    ]);
  });

  it('fills in what the server knows of an object, and keeps when and in which revision it was created', async () => {
    let now = new Date(0);
    const store = await openOn(await database(file()), () => now);
    await store.changes.commit(ada, { put: [split(1)] });
    now = new Date(1_000);
    await store.changes.commit(ada, { put: [split(2)] });
    expect(store.worlds.current.mesh.TrafficSplit.get('shop/cart')?.metadata).toMatchObject({
      revision: 2,
      createdIn: 1,
      origin: 'rest',
      createdAt: new Date(0).toISOString(),
      updatedAt: new Date(1_000).toISOString(),
    });
  });

  it('makes no revision of a change that changes nothing', async () => {
    const store = await open();
    await store.changes.commit(ada, { put: [split(1)] });
    const before = store.worlds.current;
    const same = await store.changes.commit(ada, { put: [split(1)] });
    expect(same).toMatchObject({ revision: 1, changed: false });
    expect(store.worlds.current).toBe(before);
    expect((await store.log.revisions(10)).revisions).toHaveLength(1);
  });

  it('does not care in which order the fields of an object come', async () => {
    const store = await open();
    await store.changes.commit(ada, { put: [split(1)] });
    const reordered = { backends: [{ weight: 1, service: 'cart-v1' }], service: 'cart' };
    expect(await store.changes.commit(ada, { put: [split(1, { spec: reordered })] })).toMatchObject({ changed: false });
  });

  it('commits a change set whole, as one revision', async () => {
    const store = await open();
    const other = split(1, { name: 'other' });
    await store.changes.commit(ada, { put: [split(1), other] });
    expect(store.worlds.current.revision).toBe(1);
    expect([...store.worlds.current.mesh.TrafficSplit.keys()].sort()).toEqual(['shop/cart', 'shop/other']);
  });

  it('commits nothing of a change set of which one part is refused', async () => {
    const store = await open();
    const missing = { ...ref, name: 'missing' };
    await expect(store.changes.commit(ada, { put: [split(1)], remove: [missing] })).rejects.toThrow('there is no');
    expect(store.worlds.current).toMatchObject({ revision: 0 });
    expect(store.worlds.current.mesh.TrafficSplit.size).toBe(0);
    expect((await store.log.revisions(10)).revisions).toEqual([]);
  });

  it('removes an object and remembers what it was', async () => {
    const store = await open();
    await store.changes.commit(ada, { put: [split(1)] });
    await store.changes.commit(ada, { remove: [ref] });
    expect(store.worlds.current.mesh.TrafficSplit.size).toBe(0);
    const [change] = (await store.log.revision(2))?.changes ?? [];
    expect(change?.before).toMatchObject({ kind: 'TrafficSplit' });
    expect(change).not.toHaveProperty('after');
  });

  it('refuses a change that is based on an older revision of the object', async () => {
    const store = await open();
    await store.changes.commit(ada, { put: [split(1)] });
    await store.changes.commit(ada, { put: [split(2, { basedOn: 1 })] });
    const late = store.changes.commit(ada, { put: [split(3, { basedOn: 1 })] });
    await expect(late).rejects.toMatchObject({ code: 'stale-revision' });
    const again = store.changes.commit(ada, { put: [split(3, { basedOn: 0 })] });
    await expect(again).rejects.toMatchObject({ code: 'stale-revision' });
    expect(store.worlds.current.revision).toBe(2);
  });

  it('refuses to let one origin change what another one registered', async () => {
    const store = await open();
    await store.changes.commit(ada, { put: [split(1, { origin: 'sidecar' })] });
    await expect(store.changes.commit(ada, { put: [split(2)] })).rejects.toMatchObject({ code: 'conflict' });
  });

  it('plans each of those who wait together on what the ones before made of the mesh, each a revision of its own', async () => {
    const store = await open();
    const add = (weight: number) => store.changes.commit(ada, { put: [split(weight, { basedOn: weight - 1 })] });
    const committed = await Promise.all(Array.from({ length: 600 }, (_, index) => add(index + 1)));
    expect(committed.map(({ revision }) => revision)).toEqual(committed.map((_, index) => index + 1));
    expect(weightIn(store)).toBe(600);
    const kept = await store.log.since(0, 1_000);
    expect(kept.map(({ number, changes: [change] }) => [number, change?.before?.metadata.revision ?? 0])).toEqual(
      committed.map((_, index) => [index + 1, index]),
    );
  });

  it('refuses one of those who wait together alone', async () => {
    const store = await open();
    const [first, late, third] = await Promise.allSettled([
      store.changes.commit(ada, { put: [split(1)] }),
      store.changes.commit(ada, { put: [split(2, { basedOn: 7 })] }),
      store.changes.commit(ada, { put: [split(3, { basedOn: 1 })] }),
    ]);
    expect(first).toMatchObject({ status: 'fulfilled', value: { revision: 1 } });
    expect(late).toMatchObject({ status: 'rejected', reason: { code: 'stale-revision' } });
    expect(third).toMatchObject({ status: 'fulfilled', value: { revision: 2 } });
    expect(store.worlds.current.revision).toBe(2);
  });

  it('takes so many who wait and no more, and those that it took are not harmed', async () => {
    const store = await open();
    const put = (index: number) => store.changes.commit(ada, { put: [split(index, { name: `s${index}` })] });
    const outcomes = await Promise.allSettled(Array.from({ length: 1_200 }, (_, index) => put(index)));
    const refused = outcomes.filter(({ status }) => status === 'rejected');
    expect(refused.length).toBeGreaterThan(0);
    for (const outcome of refused) expect(outcome).toMatchObject({ reason: { code: 'store-unavailable' } });
    expect(store.worlds.current.mesh.TrafficSplit.size).toBe(1_200 - refused.length);
  });

  it('applies what was planned, and refuses when it would come to something else by now', async () => {
    const store = await open();
    const plan = store.changes.plan(ada, { put: [split(1)] });
    expect(plan).toMatchObject({ base: 0, changes: [{ ref, after: { spec: { service: 'cart' } } }] });
    expect(plan.mesh.TrafficSplit.size).toBe(1);
    expect(store.worlds.current.mesh.TrafficSplit.size).toBe(0);
    const same = store.changes.plan(ada, { put: [split(1)] });
    expect(same.hash).toBe(plan.hash);
    await store.changes.commit(ada, { put: [split(2, { name: 'other' })] });
    expect(await store.changes.apply(plan)).toMatchObject({ revision: 2, changed: true });
    await expect(store.changes.apply(same)).rejects.toMatchObject({ code: 'stale-revision' });
  });

  it('plans again when another server was faster', async () => {
    const shared = await database(file());
    const [here, there] = [await openOn(shared), await openOn(shared)];
    await there.changes.commit(ada, { put: [split(1)] });
    const late = here.changes.commit(ada, { put: [split(2, { basedOn: 0 })] });
    await expect(late).rejects.toMatchObject({ code: 'stale-revision' });
    expect(weightIn(here)).toBe(1);
    expect(await here.changes.commit(ada, { put: [split(3, { basedOn: 1 })] })).toMatchObject({ revision: 2 });
  });

  it('refuses a change set that names an object twice', async () => {
    const store = await open();
    await store.changes.commit(ada, { put: [split(1)] });
    for (const wish of [{ put: [split(2), split(3)] }, { put: [split(2)], remove: [ref] }, { remove: [ref, ref] }]) {
      await expect(store.changes.commit(ada, wish)).rejects.toMatchObject({ code: 'invalid' });
    }
    expect(weightIn(store)).toBe(1);
  });

  it('shows nobody what is not committed yet', async () => {
    const store = await open();
    const seen: number[] = [];
    store.log.keepAlongside(async (transaction) => {
      void store.log.revisions(10).then(({ revisions }) => seen.push(revisions.length));
      await transaction.count(RevisionRow);
      throw new MeshError('store-unavailable', 'rolled back');
    });
    await expect(store.changes.commit(ada, { put: [split(1)] })).rejects.toThrow('rolled back');
    await store.log.revisions(1);
    expect(seen).toEqual([0]);
  });

  it('tells of every commit, in order, and of nothing else', async () => {
    const store = await open();
    const told: number[] = [];
    const stop = store.worlds.onStep(({ revisions }) => told.push(...revisions.map(({ number }) => number)));
    await store.changes.commit(ada, { put: [split(1)] });
    await store.changes.commit(ada, { put: [split(1)] });
    await store.changes.commit(ada, { put: [split(2)] });
    stop();
    await store.changes.commit(ada, { put: [split(3)] });
    expect(told).toEqual([1, 2]);
  });

  it('holds what it would read back, and nothing that is only undefined', async () => {
    const store = await open();
    const spec = { service: 'cart', match: undefined, backends: [{ service: 'cart-v1', weight: 1, note: undefined }] };
    await store.changes.commit(ada, { put: [split(1, { spec })] });
    const held = store.worlds.current.mesh.TrafficSplit.get('shop/cart')?.spec;
    expect(Object.keys(held ?? {}).sort()).toEqual(['backends', 'service']);
    expect(Object.keys(held?.backends[0] ?? {}).sort()).toEqual(['service', 'weight']);
  });

  it('leaves an older mesh as it was', async () => {
    const store = await open();
    await store.changes.commit(ada, { put: [split(1)] });
    const { mesh } = store.worlds.current;
    await store.changes.commit(ada, { put: [split(2)] });
    expect(mesh.TrafficSplit.get('shop/cart')?.spec.backends[0]?.weight).toBe(1);
  });

  it('lists revisions newest first, page by page', async () => {
    const store = await open();
    for (const weight of [1, 2, 3]) await store.changes.commit(ada, { put: [split(weight)] });
    const numbers = async (limit: number, before?: number) =>
      (await store.log.revisions(limit, before)).revisions.map(({ number }) => number);
    expect(await numbers(2)).toEqual([3, 2]);
    expect(await numbers(2, 2)).toEqual([1]);
    expect((await store.log.revisions(3)).more).toBe(false);
    expect((await store.log.revisions(2)).more).toBe(true);
  });

  it('lists fewer revisions when they are large, but one at least', async () => {
    const store = await open();
    const large = (size: number) => ({ put: [split(1, { annotations: { note: 'x'.repeat(size) } })] });
    for (const size of [5_000_000, 1_000_000, 1_000_001, 10]) await store.changes.commit(ada, large(size));
    const page = async (before?: number) => {
      const { revisions, more } = await store.log.revisions(10, before);
      return [...revisions.map(({ number }) => number), more];
    };
    expect(await page()).toEqual([4, 3, true]);
    expect(await page(3)).toEqual([2, true]);
    expect(await page(2)).toEqual([1, false]);
  });

  it('keeps nothing open around what it commits after its database has ended transactions by itself', async () => {
    const failing = await database(file());
    const store = await openOn(failing);
    const run = (sql: string): Promise<unknown> => failing.read((manager) => manager.query(sql));
    await store.changes.commit(ada, { put: [split(1)] });
    // A full disk ends one statement and lets its transaction go on, and ends another with all that came before.
    for (const how of ['ROLLBACK', 'ABORT']) {
      await run(
        `CREATE TEMP TRIGGER full BEFORE INSERT ON revision BEGIN SELECT RAISE(${how}, 'the disk is full'); END`,
      );
      const refused = store.changes.commit(ada, { put: [split(2)] });
      await expect(refused).rejects.toMatchObject({ code: 'store-unavailable' });
      await run('DROP TRIGGER full');
    }
    expect((await store.changes.commit(ada, { put: [split(4)] })).revision).toBe(2);
    // A transaction begins only where none is open.
    await run('BEGIN');
    await run('ROLLBACK');
    expect((await store.log.revisions(10)).revisions.map(({ number }) => number)).toEqual([2, 1]);
  });

  it('serves what it knows and refuses writes when its database is gone', async () => {
    const lost = await Database.open(file());
    const store = await openOn(lost);
    await store.changes.commit(ada, { put: [split(1)] });
    await lost.close();
    const refused = await store.changes.commit(ada, { put: [split(2)] }).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(MeshError);
    expect(refused).toMatchObject({ code: 'store-unavailable' });
    expect(store.worlds.current.revision).toBe(1);
    expect(weightIn(store)).toBe(1);
  });
});

describe('a database file', () => {
  it('gives the same mesh back when it is opened again', async () => {
    const file = join(directory, 'sluice.db');
    const first = await Database.open(file);
    const store = await openOn(first);
    await store.changes.commit(ada, { put: [split(1), split(1, { name: 'other' })] });
    await store.changes.commit(ada, { remove: [{ ...ref, name: 'other' }] });
    await first.close();
    const again = await openOn(await database(file));
    expect({ ...again.worlds.current, sequence: 0 }).toEqual({ ...store.worlds.current, sequence: 0 });
  });

  it.each([
    [
      'is not a database',
      (file: string) => writeFileSync(file, 'a letter to my aunt, and quite a long one'),
      /not a SQLite database/,
    ],
    ['is a directory', (file: string) => mkdirSync(file), /a file in a directory/],
  ])('says in one line why it cannot be used when it %s', async (_, spoil, reason) => {
    const file = join(directory, 'inner', 'sluice.db');
    mkdirSync(join(directory, 'inner'));
    spoil(file);
    const failure = await Database.open(file).catch((error: unknown) => error as Error);
    expect(failure).toMatchObject({ name: 'DatabaseUnusable' });
    expect((failure as Error).message).toMatch(reason);
    expect((failure as Error).message).not.toContain('\n');
  });
});
