/** A history that is not kept for ever: what readers are told of what is gone, and what a kill in the middle leaves of it. */
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Revision } from '../../src/model/revision.js';
import { Database } from '../../src/store/database.js';
import { SqlRevisionLog } from '../../src/store/revision-log.js';
import { removeAtEnd, until } from '../support/processes.js';
import { RestServer } from '../support/rest-server.js';
import { Sluice } from '../support/sluice.js';

const KEPT = 3;
/** Enough that a server does not wait until it looks of its own accord. */
const WRITES = 120;
const shop = '/v1/namespaces/shop';
const split = (weight: number) => ({ spec: { service: 'cart', backends: [{ service: 'cart-v1', weight }] } });

describe('a history that has been cut', () => {
  let rest: RestServer;
  let dataDir: string;
  let early: number;
  let cursor: string;
  beforeAll(async () => {
    dataDir = mkdtempSync(join(tmpdir(), 'sluice-history-'));
    removeAtEnd(dataDir);
    rest = await RestServer.start({ dataDir, historyKeep: String(KEPT) });
    early = (await rest.call('PUT', `${shop}/traffic-splits/early`, { body: split(1) })).body.revision;
    cursor = (await rest.call('GET', '/v1/revisions?limit=1')).body.next;
    for (let weight = 1; weight <= WRITES; weight += 1) {
      await rest.call('PUT', `${shop}/traffic-splits/busy`, { body: split(weight) });
    }
    await until('the history is cut', async () => (await list()).oldest > early + 1);
  });
  afterAll(() => rest.server.close());

  const list = async (query = '') => (await rest.call('GET', `/v1/revisions${query}`)).body;

  it('says which is the oldest that there is, and ends there', async () => {
    const { items, oldest, next } = await list('?limit=1000');
    expect(items.at(-1).number).toBe(oldest);
    expect(next).toBeUndefined();
    expect(items.map(({ number }: { number: number }) => number)).toEqual(
      items.map((_: unknown, index: number) => items[0].number - index),
    );
  });

  it('says of a revision that is gone so much, what there is, and which setting decides', async () => {
    const { status, body } = await rest.call('GET', `/v1/revisions/${early}`);
    const { oldest } = await list();
    expect(status).toBe(410);
    expect(body).toMatchObject({ type: 'urn:sluice:problem:gone', oldest });
    expect(body.detail).toMatch(
      new RegExp(`^revision ${early} is not kept any more, the oldest that is kept is ${oldest};`),
    );
    expect(body.detail).toContain('--history-keep (SLUICE_HISTORY_KEEP)');
    expect((await rest.call('GET', '/v1/revisions/999999')).status).toBe(404);
  });

  it('has nothing more for whoever had read up to what is gone by now', async () => {
    const page = await list(`?cursor=${cursor}`);
    expect(page).toEqual({ items: [], oldest: page.oldest });
    expect(page.oldest).toBeGreaterThan(early);
  });

  it('is told in the metrics', async () => {
    const { text } = await rest.call('GET', '/metrics');
    const { oldest } = await list();
    expect(text).toContain(`\nsluice_revision_oldest ${oldest}\n`);
    expect(text).toMatch(/\nsluice_database_bytes [1-9]\d+\n/);
    expect(text).toMatch(/\nsluice_database_free_bytes \d+\n/);
  });

  it('still has a receipt of what stands from then, and none of what does not, once the server has started again', async () => {
    await rest.server.close();
    rest = await RestServer.start({ dataDir, historyKeep: String(KEPT) });
    await expect.poll(async () => (await list()).items.length).toBe(KEPT);
    const again = await rest.call('PUT', `${shop}/traffic-splits/early?wait=100%`, { body: split(1) });
    expect(again).toMatchObject({
      status: 200,
      body: { changed: false, revision: early, receipt: { revision: early } },
    });
    expect((await rest.call('GET', `/v1/revisions/${early}/receipt`)).status).toBe(200);
    const superseded = await rest.call('GET', `/v1/revisions/${early + 1}/receipt?wait=100%`);
    expect(superseded).toMatchObject({ status: 410, body: { type: 'urn:sluice:problem:gone' } });
  });
});

describe('a server that is killed while it cuts the history', () => {
  const REVISIONS = 8_000;
  const KEPT_HERE = 50;
  const KILLS = 3;
  let home: string;
  beforeAll(async () => {
    home = mkdtempSync(join(tmpdir(), 'sluice-history-'));
    removeAtEnd(home);
    await onDatabase(async (log) => {
      for (let from = 1; from <= REVISIONS; from += 500) {
        await log.append(
          from - 1,
          Array.from({ length: 500 }, (_, index) => revision(from + index)),
        );
      }
    });
  });

  const onDatabase = async <Result>(work: (log: SqlRevisionLog) => Promise<Result>): Promise<Result> => {
    const database = await Database.open(join(home, 'sluice.db'));
    try {
      return await work(await SqlRevisionLog.open(database));
    } finally {
      await database.close();
    }
  };

  const revision = (number: number): Revision => {
    const ref = { kind: 'TrafficSplit', namespace: 'shop', name: `s${number % 10}` } as const;
    const at = '2026-01-01T00:00:00.000Z';
    const marks = { labels: {}, annotations: { note: 'x'.repeat(2_000) }, origin: 'rest', revision: number } as const;
    const metadata = { name: ref.name, namespace: 'shop', ...marks, createdAt: at, updatedAt: at };
    const { spec } = split(number);
    return { number, author: 'ada', comment: '', at, changes: [{ ref, after: { kind: ref.kind, metadata, spec } }] };
  };

  it('goes on with it, and has all that it is to keep, without a gap', async () => {
    const objects = await onDatabase((log) => log.documents());
    const sluice = new Sluice(home, { 'history-keep': String(KEPT_HERE) });
    let floor = 1;
    const cutTo = (oldest: number) =>
      sluice.server.until(`it is cut to ${oldest}`, async () => {
        const { body } = await sluice.rest.get('/v1/revisions?limit=1');
        return (body as { oldest: number }).oldest >= oldest;
      });
    for (let kills = 0; kills <= KILLS; kills += 1) {
      await sluice.start();
      await cutTo(kills < KILLS ? floor + 1 : REVISIONS - KEPT_HERE + 1);
      await sluice.stop('SIGKILL');
      await onDatabase(async (log) => {
        expect(log.head).toBe(REVISIONS);
        expect(log.floor).toBeGreaterThan(floor);
        expect(await log.documents()).toEqual(objects);
        const kept: number[] = [];
        for (let next = log.floor - 1; next < log.head; next = kept.at(-1) ?? next) {
          kept.push(...(await log.since(next, 1_000)).map(({ number }) => number));
        }
        expect(kept).toEqual(Array.from({ length: log.head - log.floor + 1 }, (_, index) => log.floor + index));
        floor = log.floor;
      });
    }
    expect(floor).toBe(REVISIONS - KEPT_HERE + 1);
    await sluice.start();
    const { stdout, stderr } = await sluice.cli(['get', 'revisions']);
    expect(stdout.trim().split('\n')).toHaveLength(1 + KEPT_HERE);
    expect(stderr).toBe(
      `revisions before ${floor} are not kept any more; --history-keep of the server says how many are\n`,
    );
    expect((await sluice.cli(['get', 'revisions', '--limit', '5'])).stderr).toBe('');
    await sluice.stop();
  });
});
