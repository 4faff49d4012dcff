/**
 * `make bench-sessions`: what the logic of a stream costs, without what carries it: per stream and push, per stream and change
 * that does not concern it, per request of a client with very many names, and in memory. In one process, without a network.
 *
 * node --expose-gc bench/control/sessions/run.ts [--streams 1000] [--services 100] [--rounds 50] [--out FILE]
 */
import { writeFileSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import type * as compilerModule from '../../../src/compile/compiler.js';
import type * as resourceModule from '../../../src/compile/resource.js';
import type { Document } from '../../../src/model/document.js';
import type { Kind } from '../../../src/model/kinds.js';
import type * as meshModule from '../../../src/model/mesh.js';
import type { DeltaResponse } from '../../../src/stream/delta.js';
import type * as engineModule from '../../../src/stream/engine.js';
import type { Session } from '../../../src/stream/session.js';
import type * as wireModule from '../../../src/stream/wire.js';

const { values } = parseArgs({
  options: {
    streams: { type: 'string', default: '1000' },
    services: { type: 'string', default: '100' },
    rounds: { type: 'string', default: '200' },
    out: { type: 'string' },
  },
});
const [streams, services, rounds] = [Number(values.streams), Number(values.services), Number(values.rounds)];

const load = <Module>(path: string): Promise<Module> =>
  import(new URL(`../../../dist/${path}`, import.meta.url).href) as Promise<Module>;
const { Compiler } = await load<typeof compilerModule>('compile/compiler.js');
const { TYPES, TYPE_ORDER } = await load<typeof resourceModule>('compile/resource.js');
const { meshOf } = await load<typeof meshModule>('model/mesh.js');
const { Engine } = await load<typeof engineModule>('stream/engine.js');
const { encodeResponse } = await load<typeof wireModule>('stream/wire.js');

const { gc } = globalThis;
if (!gc) throw new Error('run it with --expose-gc');

const document = (kind: Kind, name: string, spec: object, labels = {}): Document => ({
  kind,
  metadata: {
    name,
    namespace: 'shop',
    labels,
    annotations: {},
    origin: 'rest',
    revision: 1,
    createdAt: '',
    updatedAt: '',
  },
  spec,
});
const service = (name: string) => document('Service', name, { ports: [{ port: 80, protocol: 'HTTP' }] });
const split = (of: string, weight: number) =>
  document('TrafficSplit', of, {
    service: of,
    backends: [
      { service: 's0', weight },
      { service: 's1', weight: 1 },
    ],
  });
const workload = (of: string, at: number) =>
  document(
    'Workload',
    `${of}-${at}`,
    {
      address: `10.0.${at}.1`,
      ports: [{ port: 9_000 }],
      identity: `spiffe://sluice.local/ns/shop/sa/${of}`,
      health: 'Healthy',
    },
    { 'sluice.mesh/service': of },
  );

const names = Array.from({ length: services }, (_, at) => `s${at}`);
const documents = [...names, 'unrelated'].flatMap((name) => [
  service(name),
  workload(name, 1),
  workload(name, 2),
  split(name, 1),
]);
let mesh = meshOf('sluice.local', documents);
let sequence = 1;

const engine = new Engine(new Compiler('sluice', 'sluice.local'), (error) => {
  throw error;
});
/** What sessions have said, to be answered. */
let said: [Session, DeltaResponse][] = [];
engine.speakThrough((session, says) => {
  for (const response of says()) said.push([session, response]);
});
engine.start({ sequence, revision: 1, mesh });

const ask = { nonce: '', unsubscribe: [], initialVersions: {} };
function acknowledge(): void {
  while (said.length > 0) {
    const now = said;
    said = [];
    for (const [session, { type, nonce }] of now) {
      for (const response of engine.receive(session, { ...ask, type, nonce, subscribe: [] }))
        said.push([session, response]);
    }
  }
}

/** Text as it comes from a wire: a string of its own for every client. */
const fresh = (name: string): string => Buffer.from(`${name}.shop:80`).toString();

function open(id: string, wanted: readonly string[]): Session {
  const session = engine.open(id, TYPE_ORDER);
  for (const type of TYPE_ORDER) {
    for (const response of engine.receive(session, { ...ask, type, subscribe: wanted.map(fresh) }))
      said.push([session, response]);
  }
  return session;
}

const heap = (): number => {
  gc();
  gc();
  return process.memoryUsage().heapUsed;
};

/** What this thread has used of its processor, in milliseconds: others may use the machine as well. */
function used(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1_000;
}

/** Puts a split in place and waits until it is published; gives what that and all that came of it took, in ms. */
async function change(of: string, weight: number): Promise<number> {
  const after = split(of, weight);
  sequence += 1;
  mesh = meshOf(
    'sluice.local',
    documents.map((one) => (one.kind === 'TrafficSplit' && one.metadata.name === of ? after : one)),
  );
  const ref = { kind: 'TrafficSplit' as const, namespace: 'shop', name: of };
  const before = used();
  engine.publish({ world: { sequence, revision: sequence, mesh }, changes: [{ ref, after }], revisions: [] });
  while (engine.told < engine.table.sequence || engine.table.sequence < sequence) await new Promise(setImmediate);
  acknowledge();
  return used() - before;
}

const idle = heap();
const sessions = Array.from({ length: streams }, (_, at) => {
  const session = open(`shop/p${at}`, names);
  acknowledge();
  return session;
});
const perSession = (heap() - idle) / streams;

/** What one change took, in microseconds: the mean, because the system counts a thread's time in larger steps. */
async function sample(of: string): Promise<number> {
  let took = 0;
  for (let round = 0; round < rounds; round += 1) {
    took += (await change(of, 2 + round)) * 1_000;
    // Beyond the time for which changes gather.
    await new Promise((resolve) => setTimeout(resolve, 15));
  }
  return took / rounds;
}
const unrelated = await sample('unrelated');
const concerned = await sample('s5');

const [first] = sessions;
const cart = engine.table.get(TYPES.route, 's5.shop:80');
if (!first || !cart) throw new Error('there is nothing to encode');
const response = { type: TYPES.route, nonce: '1', sequence, resources: [cart], removed: [] };
const encoding = used();
for (let turn = 0; turn < 100_000; turn += 1) encodeResponse(response);
const perEncoding = (used() - encoding) / 100;

const greedy = open(
  'shop/greedy',
  Array.from({ length: 50_000 - services }, (_, at) => `name-${at}`),
);
acknowledge();
const REQUESTS = 10_000;
const asking = used();
for (let turn = 0; turn < REQUESTS; turn += 1) {
  engine.receive(greedy, { ...ask, type: TYPES.cluster, subscribe: [], nonce: 'stale' });
}
const perRequest = ((used() - asking) * 1_000) / REQUESTS;

const rows = [
  [
    'per stream and push: told, said, acknowledged (compiling taken off)',
    `${((concerned - unrelated) / streams).toFixed(2)} µs`,
  ],
  ['per stream and push: encoded', `${perEncoding.toFixed(2)} µs`],
  ['a change that concerns nobody, all in all', `${unrelated.toFixed(0)} µs`],
  ['… per stream', `${(unrelated / streams).toFixed(2)} µs`],
  ['a request of a client with 50,000 names', `${perRequest.toFixed(2)} µs`],
  [
    `memory of a session that holds ${services} services (${services * 4} resources), with its place in the index`,
    `${(perSession / 1024).toFixed(1)} KiB`,
  ],
];
const table = `# The logic of a stream

${streams} streams in one process, without a network; ${rounds} rounds, means. Node ${process.version}, ${cpus().length} ×
${cpus()[0]?.model ?? '?'}, load ${loadavg()[0]?.toFixed(1)}.

| | |
|---|---|
${rows.map((row) => `| ${row.join(' | ')} |`).join('\n')}
`;
process.stdout.write(table);
if (values.out) writeFileSync(values.out, table);
engine.shutDown();
