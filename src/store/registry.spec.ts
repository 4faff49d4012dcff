/** How facts are taken in: gathered, latest first, kept for good, and true even while the database is away. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { refOf } from '../model/document.js';
import type { Change } from '../model/revision.js';
import type { Health } from '../model/workload.js';
import { Database } from './database.js';
import { FactRow } from './entities.js';
import { Registry, type Fact } from './registry.js';
import { SqlRevisionLog } from './revision-log.js';

let database: Database;
let log: SqlRevisionLog;
let registry: Registry;
let told: Change[][];

beforeEach(async () => {
  database = await Database.open(':memory:');
  log = await SqlRevisionLog.open(database);
  registry = await Registry.open(database, log);
  told = [];
  registry.onChange(({ changes }) => told.push([...changes]));
});
afterEach(async () => {
  await registry.close();
  await database.close();
});

const fact = (name: string, health: Health = 'Healthy', reportedAt = '2026-01-01T00:00:00.000Z'): Fact => ({
  enrolment: `enrolment of ${name}`,
  namespace: 'shop',
  name,
  labels: { app: name },
  spec: { address: '10.0.0.1', ports: [{ port: 80 }], health },
  reportedAt,
});

const kept = async (): Promise<Record<string, unknown>> => {
  const rows = await database.read((manager) => manager.find(FactRow));
  return Object.fromEntries(rows.map(({ name, spec }) => [name, (JSON.parse(spec) as { health: string }).health]));
};
const run = (sql: string): Promise<unknown> => database.read((manager) => manager.query(sql));

describe('a fact', () => {
  it('is a workload of origin sidecar that no revision holds', async () => {
    await registry.put(fact('cart'));
    expect(registry.documents).toEqual([
      {
        kind: 'Workload',
        metadata: {
          name: 'cart',
          namespace: 'shop',
          labels: { app: 'cart' },
          annotations: {},
          origin: 'sidecar',
          revision: 0,
          createdAt: '2026-01-01T00:00:00.000Z',
          updatedAt: '2026-01-01T00:00:00.000Z',
        },
        spec: { address: '10.0.0.1', ports: [{ port: 80 }], health: 'Healthy' },
      },
    ]);
    expect(log.head).toBe(0);
  });

  it('is there when the database is opened again, with the time at which there first was one', async () => {
    await registry.put(fact('cart'));
    await registry.put(fact('cart', 'Unhealthy', '2026-01-02T00:00:00.000Z'));
    const again = await Registry.open(database, log);
    expect(again.documents).toEqual(registry.documents);
    expect(again.documents[0]?.metadata).toMatchObject({ createdAt: '2026-01-01T00:00:00.000Z' });
  });

  it('that says nothing new makes nothing different', async () => {
    await registry.put(fact('cart'));
    await registry.put(fact('cart', 'Healthy', '2026-01-02T00:00:00.000Z'));
    expect(told).toHaveLength(1);
  });

  it('gives way to a later one that waits with it, and they are told of together', async () => {
    await registry.put(fact('first'));
    await Promise.all([
      registry.put(fact('a')),
      registry.put(fact('b')),
      registry.put(fact('a', 'Unhealthy')),
      registry.put(fact('b', 'Draining')),
      registry.remove({ namespace: 'shop', name: 'b' }),
    ]);
    expect(told).toMatchObject([
      [{ ref: { name: 'first' } }],
      [{ ref: { name: 'a' }, after: { spec: { health: 'Unhealthy' } } }],
    ]);
    expect(await kept()).toEqual({ first: 'Healthy', a: 'Unhealthy' });
  });

  it('is gone for good when it was removed', async () => {
    await registry.put(fact('cart'));
    await registry.remove({ namespace: 'shop', name: 'cart' });
    expect(registry.documents).toEqual([]);
    expect(told.at(-1)).toMatchObject([{ ref: { name: 'cart' }, before: { kind: 'Workload' } }]);
    expect(await kept()).toEqual({});
  });

  it('has its effect while the database does not take it, is not acknowledged, and is kept once it does', async () => {
    await registry.put(fact('cart'));
    await run(`CREATE TEMP TRIGGER full BEFORE UPDATE ON fact BEGIN SELECT RAISE(ABORT, 'the disk is full'); END`);
    await expect(registry.put(fact('cart', 'Unhealthy'))).rejects.toMatchObject({ code: 'store-unavailable' });
    expect(registry.get({ namespace: 'shop', name: 'cart' })).toMatchObject({ spec: { health: 'Unhealthy' } });
    expect(await kept()).toEqual({ cart: 'Healthy' });
    await run('DROP TRIGGER full');
    await vi.waitFor(async () => expect(await kept()).toEqual({ cart: 'Unhealthy' }), { timeout: 5_000 });
  });

  it('ends with the revision that takes its workload out, in the same transaction, and is not brought back', async () => {
    await registry.put(fact('cart'));
    const [before] = registry.documents;
    if (!before) throw new Error('there is no workload');
    const waiting = registry.put(fact('cart', 'Unhealthy'));
    const changes = [{ ref: refOf(before), before }];
    await log.append(0, [{ number: 1, author: 'ada', comment: '', at: '', changes }]);
    await waiting;
    expect(registry.documents).toEqual([]);
    expect(await kept()).toEqual({});
  });
});
