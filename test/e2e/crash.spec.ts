/** A control plane that is killed in the middle of everything: what it acknowledged is there, and what was ended stays ended. */
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { JoinedClient, type Doors } from '../support/grpc-client.js';
import { startSluice, type Sluice } from '../support/sluice.js';

/** After how many acknowledged writes each life ends; what else is under way by then is left to chance. */
const LIVES = [7, 90, 41, 2, 160];
const WRITERS = 8;
const REPORTERS = 3;
const PERMISSION_DENIED = 7;

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
    const { status, body } = await sluice.rest.send({ method: 'POST', path, body: claims });
    if (status !== 201) throw new Error(JSON.stringify(body));
    return (body as { token: string }).token;
  },
});

const joined = async (name: string): Promise<JoinedClient> => {
  const client = await JoinedClient.join(doors(), 'shop', { name, service: 'crash' });
  clients.push(client);
  return client;
};

const workloads = async (): Promise<Map<string, number>> => {
  const { body } = await sluice.rest.get('/v1/namespaces/shop/workloads?limit=1000');
  const { items } = body as { items: { metadata: { name: string }; spec: { ports: [{ port: number }] } }[] };
  return new Map(items.map(({ metadata, spec }) => [metadata.name, spec.ports[0].port]));
};

interface KeptRevision {
  readonly number: number;
  readonly changes: readonly { ref: { name: string }; after?: { spec: { backends: [{ weight: number }] } } }[];
}

/** All revisions, oldest first. */
async function revisions(): Promise<KeptRevision[]> {
  const found: KeptRevision[] = [];
  let next: string | undefined;
  do {
    const { body } = await sluice.rest.get(`/v1/revisions?limit=1000${next === undefined ? '' : `&cursor=${next}`}`);
    found.push(...(body as { items: KeptRevision[] }).items);
    ({ next } = body as { next?: string });
  } while (next !== undefined);
  return found.reverse();
}

/** A number that only goes up: what was tried last, and what was acknowledged last. */
interface Count {
  tried: number;
  kept: number;
}

/** Goes on with `attempt` until the control plane is gone. That it refuses one is no reason to stop. */
async function keepTrying(attempt: () => Promise<boolean>): Promise<void> {
  while (await attempt().catch(() => !sluice.server.ended));
}

describe('a control plane that is killed while it writes', () => {
  it('has all that it acknowledged, without a gap, and nobody whom it let go', async () => {
    const splits = Array.from({ length: WRITERS }, (): Count => ({ tried: 0, kept: 0 }));
    const ports = Array.from({ length: REPORTERS }, (): Count => ({ tried: 10_000, kept: 0 }));
    const reporters = await Promise.all(ports.map((_, index) => joined(`reporter-${index}`)));
    const acknowledged: { readonly revision: number; readonly name: string; readonly weight: number }[] = [];
    const gone: JoinedClient[] = [];

    for (const [life, killAfter] of LIVES.entries()) {
      const [leaving, evicted] = [await joined(`leaving-${life}`), await joined(`evicted-${life}`)];
      await Promise.all([leaving.report({}), evicted.report({})]);
      let written = 0;
      let killed: Promise<unknown> | undefined;

      const write = (index: number, count: Count) => async (): Promise<boolean> => {
        const weight = (count.tried += 1);
        const name = `split-${index}`;
        const spec = { service: 'cart', backends: [{ service: 'cart-v1', weight }] };
        const { status, body } = await sluice.rest.put({ kind: 'TrafficSplit', metadata: { name }, spec });
        if (status >= 300) throw new Error(JSON.stringify(body));
        count.kept = weight;
        acknowledged.push({ revision: (body as { revision: number }).revision, name, weight });
        written += 1;
        if (written === killAfter) killed = sluice.stop('SIGKILL');
        return killed === undefined;
      };
      const report = (client: JoinedClient, count: Count) => async (): Promise<boolean> => {
        const port = (count.tried += 1);
        await client.report({ ports: [{ port }] });
        count.kept = port;
        return killed === undefined;
      };
      const endings = [
        async () => {
          await leaving.leave();
          gone.push(leaving);
        },
        async () => {
          const path = `/v1/namespaces/shop/workloads/evicted-${life}`;
          const { status } = await sluice.rest.send({ method: 'DELETE', path });
          if (status === 200) gone.push(evicted);
        },
      ];
      await Promise.all([
        ...splits.map((count, index) => keepTrying(write(index, count))),
        ...reporters.map((client, index) => keepTrying(report(client, ports[index] ?? { tried: 0, kept: 0 }))),
        ...endings.map((end) => end().catch(() => undefined)),
      ]);
      await killed;
      await sluice.start();

      const kept = await revisions();
      expect(kept.map(({ number }) => number)).toEqual(kept.map((_, index) => index + 1));
      for (const { revision, name, weight } of acknowledged) {
        expect(kept[revision - 1]?.changes).toMatchObject([
          { ref: { name }, after: { spec: { backends: [{ weight }] } } },
        ]);
      }
      for (const [index, count] of splits.entries()) {
        if (count.kept === 0) continue;
        const { body } = await sluice.rest.get(`/v1/namespaces/shop/traffic-splits/split-${index}`);
        const { weight } = (body as { spec: { backends: [{ weight: number }] } }).spec.backends[0];
        expect(weight).toBeGreaterThanOrEqual(count.kept);
        expect(weight).toBeLessThanOrEqual(count.tried);
      }
      const present = await workloads();
      for (const [index, count] of ports.entries()) {
        if (count.kept === 0) continue;
        expect(present.get(`reporter-${index}`)).toBeGreaterThanOrEqual(count.kept);
        expect(present.get(`reporter-${index}`)).toBeLessThanOrEqual(count.tried);
      }
      for (const client of gone) {
        expect([...present.keys()]).not.toContain(client.name);
        await expect(client.report({})).rejects.toMatchObject({ code: PERMISSION_DENIED });
      }
    }
    expect(acknowledged.length).toBeGreaterThanOrEqual(300);
    expect(gone.length).toBeGreaterThan(0);
  }, 180_000);
});
