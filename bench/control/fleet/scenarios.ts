/** What is measured of a control plane and its fleet from outside, judged by what each sidecar holds and not by what the server believes. */
import { setTimeout as pause } from 'node:timers/promises';
import { NAMESPACE, ControlPlane } from './control-plane.ts';
import { quantile, type Figure } from './figures.ts';
import { PretendedSidecar } from './sidecar.ts';

/** Services that are split over v1 and v2: `cart`, and s1 to sN. */
const SERVICES = 120;
/** A service that no sidecar of the benchmark asks for. */
const STRANGER = `s${SERVICES}`;

export interface Fleet {
  readonly server: ControlPlane;
  readonly sidecars: readonly PretendedSidecar[];
}

/** Waits until `holds`, for at most `ms`; says whether it came to be. */
async function until(holds: () => boolean, ms: number): Promise<boolean> {
  const end = Date.now() + ms;
  while (!holds()) {
    if (Date.now() > end) return false;
    await pause(1);
  }
  return true;
}

const split = (server: ControlPlane, service: string, weight: number, query = '') =>
  server.put(
    'traffic-splits',
    service,
    {
      spec: {
        service,
        backends: [
          { service: 'v1', weight },
          { service: 'v2', weight: 100 - weight },
        ],
      },
    },
    query,
  );

const names = (count: number): string[] => ['cart', ...Array.from({ length: count - 1 }, (_, at) => `s${at + 1}`)];

/** A control plane of `checkout` with its services, and `size` sidecars that hold `held` of them each. */
export async function gather(checkout: string, size: number, held: number): Promise<Fleet> {
  const server = await ControlPlane.start(checkout);
  for (const service of [...names(SERVICES + 1), 'v1', 'v2']) {
    await server.put('services', service, { spec: { ports: [{ port: 80 }] } });
  }
  for (const service of names(SERVICES + 1)) await split(server, service, 50);
  const sidecars: PretendedSidecar[] = [];
  for (let at = 0; at < size; at += 10) {
    const few = Array.from({ length: Math.min(10, size - at) }, (_, index) => `p${at + index}`);
    sidecars.push(...(await Promise.all(few.map((name) => PretendedSidecar.join(server, name, names(held))))));
  }
  for (const [at, sidecar] of sidecars.entries()) {
    sidecar.connect();
    if (at % 20 === 19) await pause(20);
  }
  const isServed = (sidecar: PretendedSidecar) => sidecar.share(names(held).at(-1) ?? '') !== undefined;
  if (!(await until(() => sidecars.every(isServed), 180_000))) {
    const without = sidecars.filter((sidecar) => !isServed(sidecar));
    throw new Error(`${without.length} of ${size} were not served: ${without[0]?.ended}`);
  }
  await pause(1_000);
  return { server, sidecars };
}

export async function dismiss({ server, sidecars }: Fleet): Promise<void> {
  for (const sidecar of sidecars) sidecar.leave();
  await server.close();
}

/** One write, and how long until the last sidecar holds it. */
async function push({ server, sidecars }: Fleet, weight: number): Promise<number> {
  const began = performance.now();
  await split(server, 'cart', weight);
  if (!(await until(() => sidecars.every((sidecar) => sidecar.share('cart') === weight), 30_000)))
    throw new Error(`not every sidecar came to hold weight ${weight}`);
  return performance.now() - began;
}

/** Write → the last of all holds it, when all is quiet. */
export async function fanout(fleet: Fleet): Promise<Figure[]> {
  const { server, sidecars } = fleet;
  const samples: number[] = [];
  const before = server.cost;
  for (let weight = 1; weight <= 30; weight += 1) samples.push(await push(fleet, weight));
  const cpu = (server.cost.cpu - before.cpu) / samples.length / sidecars.length;
  return [
    { measure: 'write → last stream holds it, p50', unit: 'ms', value: quantile(samples, 0.5) },
    { measure: 'write → last stream holds it, p99', unit: 'ms', value: quantile(samples, 0.99) },
    { measure: 'server CPU per stream and push', unit: 'µs', value: cpu },
  ];
}

/** What each of 60 changes that concern no sidecar costs the server, in microseconds of CPU, in three samples. Throws when any is sent. */
export async function unrelated({ server, sidecars }: Fleet): Promise<number[]> {
  const sent = (): number => sidecars.reduce((sum, { bytes }) => sum + bytes, 0);
  const bytes = sent();
  const samples: number[] = [];
  for (let sample = 0; sample < 3; sample += 1) {
    const before = server.cost;
    for (let weight = 1; weight <= 20; weight += 1) await split(server, STRANGER, sample * 20 + weight);
    await pause(100);
    samples.push((server.cost.cpu - before.cpu) / 20);
  }
  if (sent() !== bytes) throw new Error('a change that concerns no stream was sent to some');
  return samples;
}

/** Write → the last holds it, while 100 other writes go on each second, which all concern everybody. */
export async function busy(fleet: Fleet): Promise<Figure[]> {
  const samples: number[] = [];
  const start = performance.now();
  let going = true;
  let writes = 0;
  const others = (async () => {
    let open = 0;
    for (const began = Date.now(); going; await pause(Math.max(1, began + writes * 10 - Date.now()))) {
      // Who cannot keep up is asked for less, and the figure says so.
      if (open >= 20) continue;
      open += 1;
      writes += 1;
      void split(fleet.server, 's1', 1 + (writes % 99))
        .catch(() => undefined)
        .finally(() => (open -= 1));
    }
  })();
  for (let weight = 31; weight <= 60; weight += 1) {
    samples.push(await push(fleet, weight));
    await pause(100);
  }
  going = false;
  await others;
  return [
    {
      measure: 'other writes per second that were taken meanwhile',
      unit: '1/s',
      value: (writes * 1_000) / (performance.now() - start),
    },
    { measure: 'the same during 100 writes/s, p50', unit: 'ms', value: quantile(samples, 0.5) },
    { measure: 'the same during 100 writes/s, p99', unit: 'ms', value: quantile(samples, 0.99) },
  ];
}

/** A wait for all while 20 other writes go on each second. */
export async function waiting({ server }: Fleet): Promise<Figure[]> {
  const samples: number[] = [];
  let failed = 0;
  let going = true;
  const others = (async () => {
    for (let writes = 0; going; writes += 1) {
      await split(server, 's2', 1 + (writes % 99));
      await pause(50);
    }
  })();
  for (let weight = 1; weight <= 20; weight += 1) {
    const began = performance.now();
    const { status } = await split(server, 'cart', weight, '?wait=100%25&timeout=10s');
    if (status === 200) samples.push(performance.now() - began);
    else failed += 1;
  }
  going = false;
  await others;
  return [
    { measure: 'PUT with wait=100% during 20 writes/s, p50', unit: 'ms', value: quantile(samples, 0.5) },
    { measure: 'waits that did not end well', unit: 'of 20', value: failed },
  ];
}

/** GET of one object. */
export async function reading({ server }: Fleet): Promise<Figure[]> {
  const samples: number[] = [];
  for (let at = 0; at < 300; at += 1) {
    const began = performance.now();
    await server.rest('GET', `/v1/namespaces/${NAMESPACE}/services/cart`);
    samples.push(performance.now() - began);
  }
  return [{ measure: 'GET one object, p50', unit: 'ms', value: quantile(samples, 0.5) }];
}

/**
 * Killed without warning and started again: until all hold a new change, and how long a GET takes meanwhile. The pretended sidecars are one
 * process with one thread: when their CPU comes near to that time, it is they who take it.
 */
export async function restart({ server, sidecars }: Fleet): Promise<Figure[]> {
  await server.kill();
  const [began, used] = [performance.now(), process.cpuUsage()];
  await server.start();
  const gets: number[] = [];
  let done = false;
  const probe = (async () => {
    while (!done) {
      const asked = performance.now();
      await server.rest('GET', `/v1/namespaces/${NAMESPACE}/services/cart`).catch(() => undefined);
      gets.push(performance.now() - asked);
      await pause(20);
    }
  })();
  await split(server, 'cart', 77);
  const held = await until(() => sidecars.every((sidecar) => sidecar.share('cart') === 77), 60_000);
  const all = performance.now() - began;
  const { user, system } = process.cpuUsage(used);
  const { cpu } = server.cost;
  done = true;
  await probe;
  return [
    { measure: 'kill -9 → all hold a new change', unit: 'ms', value: held ? all : Number.NaN },
    { measure: 'CPU of the server until then', unit: 'ms', value: cpu / 1_000 },
    { measure: 'CPU of all sidecars until then', unit: 'ms', value: (user + system) / 1_000 },
    { measure: 'slowest GET meanwhile', unit: 'ms', value: Math.max(...gets) },
  ];
}
