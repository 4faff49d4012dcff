/**
 * `make bench-commits`: how many durable writes a second one writer gets and fifty get, each waiting for its answer before it asks
 * again, beside a bare loop of single inserts into the same kind of file. In one process, without a network.
 *
 * node bench/control/commits/run.ts [--writes 500] [--rounds 5] [--dir DIR] [--out FILE]
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { parseArgs } from 'node:util';
import type * as changesModule from '../../../src/changes/changes.js';
import type { Draft } from '../../../src/model/document.js';
import type * as databaseModule from '../../../src/store/database.js';
import type * as logModule from '../../../src/store/revision-log.js';
import type * as foldModule from '../../../src/world/fold.js';
import { quantile } from '../fleet/figures.ts';

const { values } = parseArgs({
  options: {
    writes: { type: 'string', default: '500' },
    rounds: { type: 'string', default: '5' },
    /** On the disk that is to be measured. */
    dir: { type: 'string', default: tmpdir() },
    out: { type: 'string' },
  },
});
const [writes, rounds] = [Number(values.writes), Number(values.rounds)];

const load = <Module>(path: string): Promise<Module> =>
  import(new URL(`../../../dist/${path}`, import.meta.url).href) as Promise<Module>;
const { Changes } = await load<typeof changesModule>('changes/changes.js');
const { Database } = await load<typeof databaseModule>('store/database.js');
const { SqlRevisionLog } = await load<typeof logModule>('store/revision-log.js');
const { Worlds } = await load<typeof foldModule>('world/fold.js');

/** The binding that the server has, without what is around it there. */
interface Sqlite {
  pragma(text: string): unknown;
  exec(sql: string): unknown;
  prepare(sql: string): { run(...values: unknown[]): unknown };
  close(): void;
}
const Sqlite = createRequire(import.meta.url)('better-sqlite3') as new (file: string) => Sqlite;

const split = (name: string, weight: number): Draft => ({
  kind: 'TrafficSplit',
  namespace: 'shop',
  name,
  labels: {},
  annotations: {},
  origin: 'rest',
  spec: { service: 'cart', backends: [{ service: 'cart-v1', weight }] },
});

/** Writes a second by `work`, which makes as many as it says, in a directory of its own. */
async function rateOf(work: (directory: string) => Promise<number>): Promise<number> {
  const directory = mkdtempSync(join(values.dir, 'sluice-bench-'));
  try {
    return await work(directory);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/** One row a transaction, synchronous to the disk: as fast as this disk lets a single writer be. */
const bare = (directory: string): Promise<number> => {
  const database = new Sqlite(join(directory, 'bare.db'));
  database.pragma('journal_mode = WAL');
  database.pragma('synchronous = FULL');
  database.exec('CREATE TABLE revision (number INTEGER PRIMARY KEY NOT NULL, changes TEXT NOT NULL)');
  const insert = database.prepare('INSERT INTO revision VALUES (?, ?)');
  const text = JSON.stringify([{ after: split('s', 1) }]);
  const start = performance.now();
  for (let number = 1; number <= writes; number += 1) insert.run(number, text);
  const rate = (writes * 1_000) / (performance.now() - start);
  database.close();
  return Promise.resolve(rate);
};

const committed =
  (writers: number) =>
  async (directory: string): Promise<number> => {
    const database = await Database.open(join(directory, 'sluice.db'));
    const log = await SqlRevisionLog.open(database);
    const wishes = {
      origin: 'rest' as const,
      documents: await log.documents(),
      onChange: (listener: Parameters<typeof log.onChange>[0]) => log.onChange(listener),
    };
    const changes = new Changes(log, new Worlds('sluice.local', [wishes]));
    const each = Math.ceil(writes / writers);
    const write = async (writer: number): Promise<void> => {
      for (let weight = 1; weight <= each; weight += 1) {
        await changes.commit({ author: 'bench' }, { put: [split(`s${writer}`, weight)] });
      }
    };
    const start = performance.now();
    await Promise.all(Array.from({ length: writers }, (_, writer) => write(writer)));
    const rate = (each * writers * 1_000) / (performance.now() - start);
    if (log.head !== each * writers) throw new Error(`${log.head} revisions instead of ${each * writers}`);
    await database.close();
    return rate;
  };

const subjects = { 'bare inserts, one after the other': bare, 'one writer': committed(1), '50 writers': committed(50) };
const rates = new Map<string, number[]>();
// In turn, so that whatever else the machine does falls on all of them.
for (let round = 0; round < rounds; round += 1) {
  for (const [name, work] of Object.entries(subjects)) {
    rates.set(name, [...(rates.get(name) ?? []), await rateOf(work)]);
  }
}

const median = (name: string): number => quantile(rates.get(name) ?? [], 0.5);
const one = median('one writer');
const inserts = median('bare inserts, one after the other');
const rows = [...rates].map(([name, samples]) => {
  const cells = [quantile(samples, 0.5), Math.min(...samples), Math.max(...samples)].map((rate) => rate.toFixed(0));
  return `| ${name} | ${cells.join(' | ')} | ${(median(name) / one).toFixed(1)} | ${(median(name) / inserts).toFixed(2)} |`;
});
const table = `# Durable writes a second

${writes} writes, ${rounds} rounds in turn; Node ${process.version}, ${cpus().length} × ${cpus()[0]?.model ?? '?'}, load ${loadavg()[0]?.toFixed(1)}. Goal: 50 writers
at least 5 times one writer. Every write is in the file and synchronous to the disk before it is answered.

| | median | least | most | to one writer | to bare inserts |
|---|---|---|---|---|---|
${rows.join('\n')}
`;
process.stdout.write(table);
if (values.out) writeFileSync(values.out, table);
