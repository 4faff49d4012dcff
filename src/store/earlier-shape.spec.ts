/** A database that an earlier version of this server wrote, when a workload had one port, is read in today's words. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Database } from './database.js';
import { Registry } from './registry.js';
import { SqlRevisionLog } from './revision-log.js';

const EARLIER = { address: '10.0.0.1', port: 9_001, health: 'Healthy' };
const TODAY = { address: '10.0.0.1', ports: [{ port: 9_001 }], health: 'Healthy' };

const workload = (spec: object) => ({
  kind: 'Workload',
  metadata: { name: 'cart', namespace: 'shop', labels: {}, annotations: {}, origin: 'rest', revision: 1 },
  spec,
});
const ref = { kind: 'Workload', namespace: 'shop', name: 'cart' };

let database: Database;

beforeEach(async () => {
  database = await Database.open(':memory:');
  const changes = [{ ref, before: workload(EARLIER), after: workload(EARLIER), forced: [ref] }, { ref }];
  const rows: [string, ...string[]][] = [
    ['object', 'Workload', 'shop', 'cart', JSON.stringify(workload(EARLIER))],
    ['fact', 'shop', 'web', 'an-enrolment', '{}', JSON.stringify(EARLIER), '2026-01-01', '2026-01-01'],
    ['revision', '1', 'ada', '', '2026-01-01', JSON.stringify(changes)],
  ];
  for (const [table, ...values] of rows) {
    const places = values.map(() => '?').join(', ');
    await database.read((manager) => manager.query(`INSERT INTO ${table} VALUES (${places})`, values));
  }
});
afterEach(() => database.close());

describe('what an earlier server stored', () => {
  it('stands as an object of today', async () => {
    const log = await SqlRevisionLog.open(database);
    expect(await log.documents()).toEqual([workload(TODAY)]);
  });

  it('is told as a revision of today, with all that was said of it', async () => {
    const log = await SqlRevisionLog.open(database);
    expect((await log.revision(1))?.changes).toEqual([
      { ref, before: workload(TODAY), after: workload(TODAY), forced: [ref] },
      { ref },
    ]);
  });

  it('is a fact of today, and news once a sidecar of today says its ports', async () => {
    const registry = await Registry.open(database, await SqlRevisionLog.open(database));
    expect(registry.documents.map(({ spec }) => spec)).toEqual([TODAY]);
    await registry.close();
  });
});
