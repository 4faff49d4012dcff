/** How much of the history is kept: what goes, what stays whatever is said, and what a failure in the middle of it leaves. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { HistoryKeep, Revision } from '../model/revision.js';
import { Database } from '../store/database.js';
import { SqlRevisionLog } from '../store/revision-log.js';
import { ProcessLeases } from './lease.js';
import { Retention, retain, type History } from './retention.js';

const DAY_MS = 86_400_000;
const NOW = Date.parse('2026-11-26T00:00:00.000Z');
const MIB = 1024 * 1024;
const ALL: HistoryKeep = { revisions: Infinity, ageMs: Infinity };

const daysAgo = (days: number): string => new Date(NOW - days * DAY_MS).toISOString();

describe('what is done about the history', () => {
  const history: History = {
    keep: { revisions: 10, ageMs: 30 * DAY_MS },
    oldest: { number: 1, at: daysAgo(1) },
    head: 10,
    size: { total: 8 * MIB, free: 0 },
    now: NOW,
  };
  const prune = { do: 'prune' };

  it.each<[string, Partial<History>, readonly object[]]>([
    ['nothing while it is as long as it may be', {}, []],
    ['one too many goes', { head: 11 }, [{ ...prune, past: { below: 2, before: daysAgo(30) } }]],
    ['what is too old goes', { oldest: { number: 1, at: daysAgo(31) } }, [prune]],
    ['the newest stays, however old', { head: 1, oldest: { number: 1, at: daysAgo(400) } }, []],
    ['nothing where there is nothing yet', { head: 0, oldest: undefined }, []],
    ['nothing where all is kept', { keep: ALL, head: 1e6, oldest: { number: 1, at: daysAgo(9_999) } }, []],
    [
      'what is too old goes, however few there are',
      { keep: { ...ALL, ageMs: DAY_MS }, oldest: { number: 1, at: daysAgo(2) } },
      [prune],
    ],
    [
      'what is too many goes, however young',
      { keep: { ...ALL, revisions: 3 } },
      [{ ...prune, past: { below: 8, before: '' } }],
    ],
    ['nothing is given back of what a file soon needs', { size: { total: 100 * MIB, free: 25 * MIB } }, []],
    [
      'a little of more than that is given back at a time',
      { size: { total: 100 * MIB, free: 50 * MIB } },
      [{ do: 'release', bytes: MIB / 4 }],
    ],
    ['nothing is given back while something goes', { head: 11, size: { total: 100 * MIB, free: 50 * MIB } }, [prune]],
    ['nothing is given back when nobody knows how much is free', { size: undefined }, []],
  ])('%s', (_, change, wishes) => {
    expect(retain({ ...history, ...change })).toMatchObject(wishes);
  });
});

let directory: string;
let database: Database;
let log: SqlRevisionLog;
const failures: unknown[] = [];

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'sluice-retention-'));
  failures.length = 0;
  await open();
});
afterEach(async () => {
  await database.close();
  rmSync(directory, { recursive: true });
});

async function open(): Promise<void> {
  database = await Database.open(join(directory, 'sluice.db'));
  log = await SqlRevisionLog.open(database);
}

/** Adds `count` revisions, each of them so many days old and so many characters long. */
async function add(count: number, days = 0, size = 10): Promise<void> {
  const comment = '';
  const revisions = Array.from({ length: count }, (_, index): Revision => {
    const number = log.head + index + 1;
    const ref = { kind: 'TrafficSplit', namespace: 'shop', name: `s${number % 7}` } as const;
    const marks = { labels: { note: 'x'.repeat(size) }, annotations: {}, origin: 'rest', revision: number } as const;
    const metadata = { name: ref.name, namespace: 'shop', ...marks, createdAt: '', updatedAt: '' };
    const after = { kind: ref.kind, metadata, spec: {} };
    return { number, author: 'ada', comment, at: daysAgo(days), changes: [{ ref, after }] };
  });
  for (let from = 0; from < count; from += 50) await log.append(log.head, revisions.slice(from, from + 50));
}

async function keeping<Result>(
  keep: Partial<HistoryKeep>,
  work: (retention: Retention) => Promise<Result>,
): Promise<Result> {
  const retention = new Retention({
    ...{ log, database, keep: { ...ALL, ...keep }, now: () => NOW },
    leases: new ProcessLeases().as('a test'),
    onFailure: (error) => failures.push(error),
  });
  try {
    return await work(retention);
  } finally {
    await retention.close();
  }
}

const cutTo = (keep: Partial<HistoryKeep>): Promise<void> => keeping(keep, (retention) => retention.settle());

const numbers = async (): Promise<number[]> => {
  const kept = (await log.revisions(10_000)).revisions.map(({ number }) => number).reverse();
  expect(kept).toEqual(Array.from({ length: log.head - log.floor + 1 }, (_, index) => log.floor + index));
  return kept;
};

describe('the history on a database', () => {
  it('is cut to a number of revisions, and stays so when the server starts again', async () => {
    await add(350);
    const objects = await log.documents();
    await cutTo({ revisions: 20 });
    expect([log.floor, log.head]).toEqual([331, 350]);
    expect(await numbers()).toHaveLength(20);
    await database.close();
    await open();
    expect([log.floor, log.head]).toEqual([331, 350]);
    expect(await log.documents()).toEqual(objects);
    await add(1);
    expect((await numbers()).at(-1)).toBe(351);
  });

  it('is cut to what is not too old, up to the first that is not', async () => {
    await add(120, 40);
    await add(1, 10);
    await add(1, 40);
    await add(1, 0);
    await cutTo({ ageMs: 30 * DAY_MS });
    expect(await numbers()).toEqual([121, 122, 123]);
  });

  it('has its newest revision whatever is said', async () => {
    await add(3, 400);
    await cutTo({ revisions: 1, ageMs: DAY_MS });
    expect(await numbers()).toEqual([3]);
    await cutTo({ revisions: 1, ageMs: DAY_MS });
    expect(await numbers()).toEqual([3]);
  });

  it('is cut as soon as a good many are too many, without anybody asking', async () => {
    await keeping({ revisions: 50 }, async () => {
      await add(400);
      await expect.poll(() => log.floor).toBeGreaterThan(200);
    });
    expect((await numbers()).length).toBeGreaterThanOrEqual(50);
  });

  it('loses little at a time, so that a writer comes in between', async () => {
    await add(1_000);
    expect(await log.prune({ below: 901, before: '' })).toBe(true);
    expect(log.floor).toBe(101);
    const [, more] = await Promise.all([add(1), log.prune({ below: 901, before: '' })]);
    expect([more, log.floor, log.head]).toEqual([true, 201, 1_001]);
    while (await log.prune({ below: 901, before: '' }));
    expect(log.floor).toBe(901);
  });

  it('loses fewer at a time when they are large, but one at least', async () => {
    await add(3, 0, 600_000);
    await add(2, 0, 2_000_000);
    const floors = [log.floor];
    for (let more = true; more; floors.push(log.floor)) more = await log.prune({ below: 5, before: '' });
    expect(floors).toEqual([1, 2, 3, 4, 5]);
  });

  it('is whole, and goes on where it was, when the database fails in the middle of it', async () => {
    await add(300);
    const run = (sql: string) => database.rows('revision').query(sql);
    for (const how of ['FAIL', 'ABORT', 'ROLLBACK']) {
      const at = log.floor + 57;
      await run(
        `CREATE TEMP TRIGGER broken BEFORE DELETE ON revision WHEN OLD.number = ${at} BEGIN SELECT RAISE(${how}, 'the disk is broken'); END`,
      );
      const before = await numbers();
      await cutTo({ revisions: 10 });
      expect(failures).toMatchObject([{ code: 'store-unavailable' }]);
      failures.length = 0;
      expect(await numbers()).toEqual(before);
      await add(1);
      await run('DROP TRIGGER broken');
      await log.prune({ below: at + 1, before: '' });
      expect(log.floor).toBeGreaterThan(before[0] ?? 0);
    }
    await cutTo({ revisions: 10 });
    expect(await numbers()).toHaveLength(10);
  });

  it('says to whoever reads on from before it that this is gone, and leaves nothing out in silence', async () => {
    await add(10);
    await cutTo({ revisions: 5 });
    await expect(log.since(0, 100)).rejects.toMatchObject({ code: 'gone', extensions: { oldest: 6 } });
    await expect(log.since(4, 100)).rejects.toMatchObject({ code: 'gone' });
    expect((await log.since(5, 100)).map(({ number }) => number)).toEqual([6, 7, 8, 9, 10]);
    expect(await log.since(10, 100)).toEqual([]);
  });

  it('gives the disk back what it left free, but for what is soon written', async () => {
    await add(200, 0, 100_000);
    const before = database.size;
    await cutTo({ revisions: 1 });
    // That nothing more goes is seen by the next look.
    await cutTo({ revisions: 1 });
    const after = database.size;
    expect(before?.total).toBeGreaterThan(20_000_000);
    expect(after?.total).toBeLessThan(6_000_000);
    expect(after?.free).toBeLessThanOrEqual(4 * MIB);
    expect(failures).toEqual([]);
  });
});
