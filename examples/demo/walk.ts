/** The walk through the product: five promises, each shown on real processes and checked. */
import { putOf } from '../../test/support/rest-client.ts';
import { onlyWeb, SERVICES, split } from './mesh.ts';
import type { Narrator } from './narrator.ts';
import { jobReport, keepVisiting, streamsBack, visits, type Counts, type Shop } from './shop.ts';

const VISITS = 2_000;
const WAIT = { wait: '100%', timeout: '10s' } as const;

interface Receipt {
  readonly revision: number;
  readonly affected: number;
  readonly serving: number;
  readonly why: string;
  readonly laggards: readonly { readonly proxy: string; readonly detail: string }[];
}

interface Answer<Content> {
  readonly status: number;
  readonly body: Content;
}

/** What the answers to writes have that the demo looks at. */
interface Body {
  readonly revision?: number;
  readonly receipt?: Receipt;
  readonly detail?: string;
}

type Step = readonly [
  letter: string,
  title: string,
  promise: string,
  walk: (shop: Shop, tell: Narrator) => Promise<Outcome>,
];

interface ProxyRow {
  readonly id: string;
  readonly state: string;
  readonly serves: number;
}

interface Outcome {
  readonly held: boolean;
  /** What was seen, for when it was not what was promised. */
  readonly seen: string;
}

const STEPS: readonly Step[] = [
  ['a', 'Share the calls to cart 90 to 10.', 'one call in ten reached v2', canary],
  ['b', 'Move to the new version, and wait for the proof.', 'after the receipt, no call reached v1', moveOver],
  ['c', 'Let only web call cart.', 'web may call cart, and job is told why it may not', close],
  ['d', 'Stop a sidecar, and change something.', 'the write says which proxy is behind, and it catches up', stall],
  ['e', 'Kill the control plane.', 'traffic goes on without it, and every sidecar comes back to it', kill],
];

/** Walks all steps. One that fails does not keep the next from being tried. */
export async function walk(shop: Shop, tell: Narrator): Promise<void> {
  tell.title('First, the names that programs call each other by.');
  for (const service of SERVICES) {
    const { status, body } = (await tell.sends(putOf(service))) as Answer<Body>;
    tell.tells(`${status}, revision ${body.revision}`);
  }
  for (const [letter, title, promise, step] of STEPS) {
    tell.title(`${letter}. ${title}`);
    const { held, seen } = await step(shop, tell).catch((error: unknown) => ({ held: false, seen: String(error) }));
    tell.promises(letter, promise, held, seen);
  }
}

async function canary(shop: Shop, tell: Narrator): Promise<Outcome> {
  await put(tell, split(90, 10));
  const counts = await count(shop, tell);
  return { held: counts['v1'] === VISITS * 0.9 && counts['v2'] === VISITS * 0.1, seen: print(counts) };
}

async function moveOver(shop: Shop, tell: Narrator): Promise<Outcome> {
  const served = await put(tell, split(0, 100));
  const counts = await count(shop, tell);
  return { held: served && counts['v2'] === VISITS, seen: print(counts) };
}

async function close(shop: Shop, tell: Narrator): Promise<Outcome> {
  const served = await put(tell, onlyWeb('/items'));
  const counts = await visits(shop, 100);
  tell.tells(`100 front pages: ${print(counts)}`);
  const report = await jobReport(shop);
  tell.tells(`job is told ${report.status}:`, ...JSON.stringify(report.body, null, 2).split('\n'));
  const { type, verdict } = report.body as { type?: string; verdict?: { closedBy?: readonly string[] } };
  const explained = type === 'urn:sluice:problem:denied' && verdict?.closedBy?.[0] === 'shop/cart-from-web';
  const held = served && counts['v2'] === 100 && report.status === 403 && explained;
  return { held, seen: `web: ${print(counts)}; job: ${report.status} ${JSON.stringify(report.body)}` };
}

async function stall({ cartV1 }: Shop, tell: Narrator): Promise<Outcome> {
  tell.does(`kill -STOP ${cartV1.sidecar.pid}   # the sidecar of ${cartV1.id}`);
  cartV1.pause();
  const request = putOf(onlyWeb('/items', '/health'), { wait: '100%', timeout: '2s' });
  const { status, body } = (await tell.sends(request).finally(() => cartV1.resume())) as Answer<Body>;
  tell.tells(`${status}: ${body.detail ?? 'nobody was behind'}`);
  const behind = body.receipt?.laggards.map(({ proxy }) => proxy).join(', ') ?? '';
  tell.does(`kill -CONT ${cartV1.sidecar.pid}`);
  const path = `/v1/revisions/${body.receipt?.revision}/receipt?wait=100%25&timeout=10s`;
  const after = (await tell.sends({ method: 'GET', path })) as Answer<Receipt>;
  tell.tells(`${after.status}: ${after.body.why}`);
  const held = status === 504 && behind === cartV1.id && after.status === 200;
  return { held, seen: `${status}, behind: ${behind || 'nobody'}; then ${after.status}` };
}

async function kill(shop: Shop, tell: Narrator): Promise<Outcome> {
  const { sluice } = shop;
  const traffic = keepVisiting(shop);
  tell.does(`kill -KILL ${sluice.server.pid}   # the control plane`);
  await sluice.stop('SIGKILL');
  const gone = await count(shop, tell, 'without it, ');
  tell.does('sluice server   # with the same data, on the same ports');
  await sluice.start();
  const took = await streamsBack(sluice);
  tell.tells(`every sidecar was back ${(took / 1_000).toFixed(1)} s after the control plane was`);
  const all = await traffic.end();
  tell.tells(`front pages from before it was killed until now: ${print(all)}`);
  const { status, body } = (await tell.sends({ method: 'GET', path: '/v1/proxies' })) as Answer<{ items: ProxyRow[] }>;
  const rows = body.items.map(({ id, state, serves }) => `${id.padEnd(14)}${state}, serves revision ${serves}`);
  tell.tells(`${status}:`, ...rows.map((row) => `  ${row}`));
  const back = rows.length === sluice.workloads.length && body.items.every(({ state }) => state === 'connected');
  const held = [gone, all].every((counts) => Object.keys(counts).join() === 'v2') && back;
  return { held, seen: `${print(all)}; ${rows.join('; ')}` };
}

/** Puts a document in place and waits for everybody. True when the receipt says that everybody serves it. */
async function put(tell: Narrator, document: Parameters<typeof putOf>[0]): Promise<boolean> {
  const { status, body } = (await tell.sends(putOf(document, WAIT))) as Answer<Body>;
  const { receipt, detail } = body;
  if (!receipt || receipt.serving < receipt.affected) {
    tell.tells(`${status}: ${detail ?? JSON.stringify(body)}`);
    return false;
  }
  tell.tells(`${status}: ${receipt.why}`);
  return true;
}

async function count(shop: Shop, tell: Narrator, when = ''): Promise<Counts> {
  const start = performance.now();
  const counts = await visits(shop, VISITS);
  const seconds = ((performance.now() - start) / 1_000).toFixed(1);
  tell.tells(`${when}${VISITS.toLocaleString('en')} front pages in ${seconds} s: ${print(counts)}`);
  return counts;
}

/** `1,800 from v1 (90.0 %), 200 from v2 (10.0 %)`. */
function print(counts: Counts): string {
  const total = Object.values(counts).reduce((sum, number) => sum + number, 0);
  return Object.entries(counts)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([seen, number]) => {
      const share = ((number * 100) / total).toFixed(1);
      return `${number.toLocaleString('en')} ${seen.startsWith('v') ? 'from' : 'ended with'} ${seen} (${share} %)`;
    })
    .join(', ');
}
