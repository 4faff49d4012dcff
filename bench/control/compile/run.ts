/**
 * `make bench-compile`: what a change costs from the mesh to encoded bytes, in meshes of two sizes, and for how long the event
 * loop is held meanwhile. In one process, without a network; each size in a process of its own.
 *
 * node --expose-gc bench/control/compile/run.ts [--services 1000] [--rounds 5] [--out FILE]
 */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import { performance } from 'node:perf_hooks';
import { parseArgs } from 'node:util';
import type * as compilerModule from '../../../src/compile/compiler.js';
import type * as documentModule from '../../../src/model/document.js';
import type { Document } from '../../../src/model/document.js';
import type * as meshModule from '../../../src/model/mesh.js';
import type { Mesh } from '../../../src/model/mesh.js';
import { quantile } from '../fleet/figures.ts';
import { TRUST_DOMAIN, documents, meshWide, policy, settings, split, workload } from './mesh.ts';

const { values } = parseArgs({
  options: {
    services: { type: 'string', default: '1000' },
    rounds: { type: 'string', default: '5' },
    out: { type: 'string' },
    /** Measures one size and prints its samples. */
    alone: { type: 'boolean', default: false },
  },
});

const load = <Module>(path: string): Promise<Module> =>
  import(new URL(`../../../dist/${path}`, import.meta.url).href) as Promise<Module>;
const { Compiler } = await load<typeof compilerModule>('compile/compiler.js');
const { meshOf, withChanges } = await load<typeof meshModule>('model/mesh.js');
const { refOf } = await load<typeof documentModule>('model/document.js');

/** Milliseconds, or MiB. */
type Samples = Record<string, number[]>;

/** What a turn of the event loop may take before it is given back, in milliseconds. */
const SLICE_MS = 5;

/** What a piece of work took of the clock on the wall and of this thread's processor: others may use the machine as well. */
interface Cost {
  readonly wall: number;
  readonly cpu: number;
}

function costOf(work: () => unknown): Cost {
  const start = performance.now();
  const before = process.threadCpuUsage();
  work();
  const { user, system } = process.threadCpuUsage(before);
  return { wall: performance.now() - start, cpu: (user + system) / 1_000 };
}

class Subject {
  readonly compiler = new Compiler('sluice', TRUST_DOMAIN);
  sequence = 0;
  mesh: Mesh;

  constructor(mesh: Mesh) {
    this.mesh = mesh;
  }

  build(): Cost {
    return costOf(() => this.compiler.rebuild({ sequence: (this.sequence += 1), mesh: this.mesh }));
  }

  /** One change, whole: the new mesh, and all that is made of it. */
  change(after: Document): Cost {
    return costOf(() => this.compiler.update(...this.next(after)));
  }

  /** One change that is only tried: what a preview costs. */
  attempt(after: Document): Cost {
    return costOf(() => this.compiler.rehearse([{ ref: refOf(after), after }])(() => true));
  }

  /** One change in slices: how long each held the event loop. */
  async slices(after: Document): Promise<Cost[]> {
    const holds = [costOf(() => this.compiler.begin(...this.next(after)))];
    const slice = (): boolean => {
      const end = performance.now() + SLICE_MS;
      return this.compiler.step(() => performance.now() < end) !== undefined;
    };
    for (let done = false; !done; await new Promise(setImmediate)) holds.push(costOf(() => (done = slice())));
    return holds;
  }

  private next(after: Document) {
    const changes = [{ ref: refOf(after), after }];
    this.mesh = withChanges(this.mesh, changes);
    return [{ sequence: (this.sequence += 1), mesh: this.mesh }, changes] as const;
  }
}

const HOLDS = 'a policy or setting for all workloads, each hold of the event loop: clock';

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

const heap = (): number => {
  globalThis.gc?.();
  const { heapUsed, external } = process.memoryUsage();
  return (heapUsed + external) / 2 ** 20;
};

async function measure(services: number, rounds: number): Promise<Samples> {
  const samples: Samples = {};
  const note = (what: string, ...more: number[]) => (samples[what] ??= []).push(...more);
  const before = heap();
  const subject = new Subject(meshOf(TRUST_DOMAIN, documents(services)));
  note('mesh in memory, MiB', heap() - before);
  const first = subject.build();
  note('mesh and all that is compiled in memory, MiB', heap() - before);
  note('full build, the first of a process: processor', first.cpu);
  note('full build, the first of a process: clock', first.wall);
  for (let round = 0; round < rounds; round += 1) {
    const { cpu, wall } = new Subject(subject.mesh).build();
    note('full build, later: processor', cpu);
    note('full build, later: clock', wall);
  }
  const kinds = {
    weight: (n: number) => split((n % (services / 10)) * 10, 3 + n),
    endpoint: (n: number) => workload(n % services, n % 10, n % 2 === 0 ? 'Draining' : 'Unhealthy'),
    policy: (n: number) => policy(n % services, `/changed-${n}/*`),
  };
  for (const [kind, document] of Object.entries(kinds)) {
    // The first make the machine warm.
    for (let n = 0; n < 100; n += 1) subject.change(document(n * 7));
    for (let n = 100; n < 100 + 100 * rounds; n += 1) {
      note(`one ${kind}, tried and put back: clock`, subject.attempt(document(n * 7)).wall);
      note(`one ${kind}, from change to encoded bytes: clock`, subject.change(document(n * 7)).wall);
    }
  }
  for (let round = 0; round < rounds; round += 1) {
    for (const document of [meshWide(round, `/round-${round}/*`), settings(round % 2 ? 'deny' : 'audit')]) {
      const holds = await subject.slices(document);
      const all = 'a policy or setting for all workloads';
      note(`${all}, whole: processor`, sum(holds.map(({ cpu }) => cpu)));
      note(`${all}, each hold of the event loop: processor`, ...holds.map(({ cpu }) => cpu));
      note(HOLDS, ...holds.map(({ wall }) => wall));
    }
  }
  return samples;
}

const round = (value: number): string => (value >= 100 ? value.toFixed(0) : value.toPrecision(3));

function row(what: string, sizes: readonly Samples[]): string {
  const cells = sizes.map((samples) => {
    const of = samples[what] ?? [];
    const [p50 = '', p99 = '', most = ''] = [quantile(of, 0.5), quantile(of, 0.99), Math.max(...of)].map(round);
    return of.length === 1
      ? p50
      : of.length < 100
        ? `${p50} (${round(Math.min(...of))}–${most})`
        : `${p50}, p99 ${p99}, max ${most}`;
  });
  return `| ${what} | ${cells.join(' | ')} |`;
}

/** How many holds of the event loop took how long. */
function histogram(holds: readonly number[]): string {
  const bounds = [1, 2, 5, 6, 8, 10, 20, 50, Infinity];
  const counts = bounds.map(
    (bound, index) => holds.filter((held) => held <= bound && held > (bounds[index - 1] ?? 0)).length,
  );
  return bounds.map((bound, index) => `≤ ${bound} ms: ${counts[index]}`).join(' · ');
}

const services = Number(values.services);
if (values.alone) {
  process.stdout.write(JSON.stringify(await measure(services, Number(values.rounds))));
} else {
  const load = loadavg()[0]?.toFixed(1);
  const sizes = [services, services * 10];
  const results = sizes.map((size) => {
    const args = [
      '--expose-gc',
      import.meta.filename,
      '--alone',
      '--services',
      String(size),
      '--rounds',
      values.rounds,
    ];
    return JSON.parse(execFileSync(process.execPath, args, { maxBuffer: 2 ** 26, encoding: 'utf8' })) as Samples;
  });
  const head = sizes.map((size) => `${size} services, ${size * 10} workloads, ${size * 3} policies`);
  const holds = results.map((samples) => samples[HOLDS] ?? []);
  const text = [
    `Node ${process.version}, ${cpus().length} × ${cpus()[0]?.model ?? 'CPU'}, load average ${load}; milliseconds unless said otherwise, median and spread`,
    '',
    `| | ${head.join(' | ')} |`,
    `|---|${head.map(() => '---|').join('')}`,
    ...Object.keys(results[0] ?? {}).map((what) => row(what, results)),
    '',
    ...holds.map((held, index) => `Holds of the event loop, ${head[index]}: ${histogram(held)}`),
    '',
  ].join('\n');
  process.stdout.write(text);
  if (values.out !== undefined) {
    writeFileSync(`${values.out}.md`, text);
    writeFileSync(
      `${values.out}.json`,
      `${JSON.stringify(Object.fromEntries(head.map((name, index) => [name, results[index]])))}\n`,
    );
  }
}
