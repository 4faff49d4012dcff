/** What ends a sidecar takes several steps: a kill between any two of them is made good by the next start, and helps nobody meanwhile. */
import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { JoinedClient, type Doors } from '../support/grpc-client.js';
import { startSluice, type Sluice } from '../support/sluice.js';

interface Binding {
  exec(sql: string): unknown;
  prepare(sql: string): { get(...values: unknown[]): unknown };
  close(): void;
}
const Sqlite = createRequire(import.meta.url)('better-sqlite3') as new (file: string) => Binding;

const PERMISSION_DENIED = 7;
const UNAVAILABLE = 14;

let sluice: Sluice;
const clients: JoinedClient[] = [];
beforeAll(async () => {
  sluice = await startSluice();
});
afterAll(async () => {
  for (const client of clients) client.close();
  await sluice[Symbol.asyncDispose]();
});

const doors = (): Doors => ({
  joinPort: Number(sluice.join.split(':').at(-1)),
  xdsPort: Number(sluice.xds.split(':').at(-1)),
  trustAnchors: readFileSync(sluice.trustAnchors, 'utf8'),
  joinToken: async (namespace, claims) => {
    const path = `/v1/namespaces/${namespace}/join-tokens`;
    return ((await sluice.rest.send({ method: 'POST', path, body: claims })).body as { token: string }).token;
  },
});

async function joined(name: string): Promise<JoinedClient> {
  const client = await JoinedClient.join(doors(), 'shop', { name, service: 'crash' });
  clients.push(client);
  await client.report({});
  return client;
}

/** Another connection of the same sidecar, after a restart. */
function again(client: JoinedClient): JoinedClient {
  const copy = client.copy(doors());
  clients.push(copy);
  return copy;
}

/** Beside the server, or while there is none. */
function onDatabase<Result>(work: (database: Binding) => Result): Result {
  const database = new Sqlite(join(sluice.home, 'sluice.db'));
  try {
    return work(database);
  } finally {
    database.close();
  }
}

const run = (sql: string): void => onDatabase((database) => void database.exec(sql));

/** How the database has it: how the enrolment ended, and whether there is a fact of its workload. */
const kept = ({ name, enrolment }: JoinedClient) =>
  onDatabase((database) => ({
    ended: (database.prepare('SELECT ended FROM enrolment WHERE id = ?').get(enrolment) as { ended: string }).ended,
    reported: database.prepare('SELECT name FROM fact WHERE name = ?').get(name) !== undefined,
  }));

const isListed = async ({ name }: JoinedClient): Promise<boolean> =>
  (await sluice.rest.get(`/v1/namespaces/shop/workloads/${name}`)).status === 200;

const completed = (client: JoinedClient, ended: string) =>
  sluice.server.until('it is completed', async () => {
    expect(kept(client)).toEqual({ ended, reported: false });
    return !(await isListed(client));
  });

describe('a kill between the steps', () => {
  it('of an eviction cannot come: it is whole, or refused and nothing of it is so', async () => {
    const client = await joined('evicted');
    const evict = () => sluice.rest.send({ method: 'DELETE', path: '/v1/namespaces/shop/workloads/evicted' });
    run(`CREATE TRIGGER cut BEFORE UPDATE ON enrolment WHEN NEW.ended IS NOT NULL
      BEGIN SELECT RAISE(ABORT, 'as far as this and no further'); END`);
    const refused = await evict();
    run('DROP TRIGGER cut');
    expect(refused.status).toBe(503);
    expect(kept(client)).toEqual({ ended: null, reported: true });
    await client.report({});
    expect(await isListed(client)).toBe(true);

    const { status } = await evict();
    await sluice.stop('SIGKILL');
    expect(status).toBe(200);
    expect(kept(client)).toEqual({ ended: 'evicted', reported: false });
    await sluice.start();
    await expect(again(client).report({})).rejects.toMatchObject({ code: PERMISSION_DENIED });
    await expect(again(client).renew()).rejects.toMatchObject({ code: PERMISSION_DENIED });
    expect(await isListed(client)).toBe(false);
  });

  it('of one that was not whole yet lets it in at no time, and the next start ends it', async () => {
    const client = await joined('half-evicted');
    await sluice.stop('SIGKILL');
    run(`DELETE FROM fact WHERE name = 'half-evicted';
      CREATE TRIGGER cut BEFORE UPDATE ON enrolment WHEN NEW.ended IS NOT NULL
      BEGIN SELECT RAISE(ABORT, 'as far as this and no further'); END`);
    for (let life = 0; life < 2; life += 1) {
      await sluice.start();
      await expect(again(client).report({})).rejects.toMatchObject({ code: PERMISSION_DENIED });
      expect(await isListed(client)).toBe(false);
      await sluice.stop('SIGKILL');
      expect(kept(client)).toEqual({ ended: null, reported: false });
    }
    run('DROP TRIGGER cut');
    await sluice.start();
    await completed(client, 'evicted');
    await expect(again(client).report({})).rejects.toMatchObject({ code: PERMISSION_DENIED });
  });

  it('of a goodbye leaves no workload that nobody speaks for', async () => {
    const client = await joined('leaving');
    run(`CREATE TRIGGER cut BEFORE DELETE ON fact WHEN OLD.name = 'leaving'
      BEGIN SELECT RAISE(ABORT, 'as far as this and no further'); END`);
    await expect(client.leave()).rejects.toMatchObject({ code: UNAVAILABLE });
    await sluice.stop('SIGKILL');
    run('DROP TRIGGER cut');
    expect(kept(client)).toEqual({ ended: 'left', reported: true });
    await sluice.start();
    await completed(client, 'left');
    await expect(again(client).report({})).rejects.toMatchObject({ code: PERMISSION_DENIED });
  });

  it.each(['forgotten', 'replaced', 'evicted'])('after a sidecar was %s, too', async (ending) => {
    const client = await joined(`was-${ending}`);
    await sluice.stop('SIGKILL');
    run(
      `UPDATE enrolment SET ended = '${ending}', ended_at = '2026-01-01T00:00:00.000Z' WHERE id = '${client.enrolment}'`,
    );
    await sluice.start();
    await completed(client, ending);
    await expect(again(client).report({})).rejects.toMatchObject({ code: PERMISSION_DENIED });
  });
});
