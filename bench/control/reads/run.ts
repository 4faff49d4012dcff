/**
 * `make bench-reads`: what one GET costs in a large mesh with many proxies, beside the same GET in an empty mesh, in turn.
 * It must not depend on what was not asked for.
 *
 * node bench/control/reads/run.ts [--workloads 10000] [--proxies 2000] [--rounds 5] [--out FILE]
 */
import { writeFileSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { ControlPlane, NAMESPACE } from '../fleet/control-plane.ts';
import { quantile, table, type Figure } from '../fleet/figures.ts';
import { PretendedSidecar } from '../fleet/sidecar.ts';

const { values } = parseArgs({
  options: {
    workloads: { type: 'string', default: '10000' },
    proxies: { type: 'string', default: '2000' },
    rounds: { type: 'string', default: '5' },
    out: { type: 'string' },
  },
});
const GETS = 400;
const TOGETHER = 40;
const SERVICES = 1_000;

const COLLECTION = `/v1/namespaces/${NAMESPACE}`;
const READ = {
  'GET one service': `${COLLECTION}/services/cart`,
  'GET one split': `${COLLECTION}/traffic-splits/cart`,
  'GET one workload': `${COLLECTION}/workloads/cart`,
  'GET a page of 20 services': `${COLLECTION}/services?limit=20`,
};

/** Does `what` for 0 to `count`, some together. */
async function each(count: number, what: (at: number) => Promise<unknown>): Promise<void> {
  for (let at = 0; at < count; at += TOGETHER) {
    await Promise.all(Array.from({ length: Math.min(TOGETHER, count - at) }, (_, index) => what(at + index)));
  }
}

const service = { spec: { ports: [{ port: 80 }] } };
const workload = (at: number) => ({
  metadata: { labels: { 'sluice.mesh/service': `s${at % SERVICES}` } },
  spec: { address: `10.${at >> 16}.${(at >> 8) & 255}.${at & 255}` },
});

/** What is asked for in both: a split service with twenty of them in its namespace. */
async function seed(server: ControlPlane): Promise<void> {
  for (const name of ['cart', ...Array.from({ length: 20 }, (_, at) => `a${at}`)])
    await server.put('services', name, service);
  await server.put('traffic-splits', 'cart', { spec: { service: 'cart', backends: [{ service: 'a1', weight: 1 }] } });
  await server.put('workloads', 'cart', workload(0));
}

async function fill(server: ControlPlane): Promise<PretendedSidecar[]> {
  await each(SERVICES, (at) => server.put('services', `s${at}`, service));
  await each(Number(values.workloads), (at) => server.put('workloads', `w${at}`, workload(at)));
  const sidecars: PretendedSidecar[] = [];
  await each(Number(values.proxies), async (at) => {
    sidecars.push(await PretendedSidecar.join(server, `p${at}`, ['cart', 's1', 's2']));
    sidecars.at(-1)?.connect();
  });
  const missing = () => sidecars.filter((one) => one.share('cart') === undefined).length;
  for (const end = Date.now() + 120_000; missing() > 0; await pause(100))
    if (Date.now() > end) throw new Error(`${missing()} of ${values.proxies} proxies were not served`);
  return sidecars;
}

async function read(server: ControlPlane): Promise<Figure[]> {
  const figures: Figure[] = [];
  for (const [measure, path] of Object.entries(READ)) {
    const samples: number[] = [];
    const before = server.cost.cpu;
    for (let at = 0; at < GETS; at += 1) {
      const began = performance.now();
      const { status } = await server.rest('GET', path);
      if (status !== 200) throw new Error(`${path}: ${status}`);
      samples.push((performance.now() - began) * 1_000);
    }
    figures.push(
      { measure: `${measure}, p50`, unit: 'µs', value: quantile(samples, 0.5) },
      { measure: `${measure}, processor`, unit: 'µs', value: (server.cost.cpu - before) / GETS },
    );
  }
  return figures;
}

const [empty, full] = [await ControlPlane.start(process.cwd()), await ControlPlane.start(process.cwd())];
let sidecars: PretendedSidecar[] = [];
try {
  await Promise.all([seed(empty), seed(full)]);
  sidecars = await fill(full);
  // Both have answered as often before it counts.
  await Promise.all([read(empty), read(full)]);
  const [small, large]: [Figure[], Figure[]] = [[], []];
  for (let round = 0; round < Number(values.rounds); round += 1) {
    small.push(...(await read(empty)));
    large.push(...(await read(full)));
  }
  const text = `# Reads

\`make bench-reads\`: a mesh of 21 services and one workload with no proxy (before), beside one of ${SERVICES} services,
${values.workloads} workloads and ${values.proxies} proxies on their streams (now), in turn; median of ${values.rounds} rounds (least–largest).
${cpus().length} × ${cpus()[0]?.model ?? 'CPU'}, Node ${process.version}, load of the machine ${loadavg()[0]?.toFixed(1)}.

${table(small, large)}
`;
  process.stdout.write(text);
  if (values.out !== undefined) writeFileSync(values.out, text);
} finally {
  for (const sidecar of sidecars) sidecar.leave();
  await Promise.all([empty.close(), full.close()]);
}
process.exit(0);
