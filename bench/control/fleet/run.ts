/**
 * `make bench-fleet`: two checkouts of the control plane in turn, in one run, each with a fleet of pretended sidecars over
 * its real ports. Half of the machine's work is that of the sidecars, so ratios count and not milliseconds.
 *
 * node bench/control/fleet/run.ts --before DIR [--streams 1000] [--rounds 2] [--out FILE]
 */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';
import { parseArgs } from 'node:util';
import { quantile, table, type Figure } from './figures.ts';
import { busy, dismiss, fanout, gather, reading, restart, unrelated, waiting } from './scenarios.ts';

const { values } = parseArgs({
  options: {
    before: { type: 'string' },
    streams: { type: 'string', default: '1000' },
    rounds: { type: 'string', default: '2' },
    out: { type: 'string' },
  },
});
const size = Number(values.streams);

async function measure(checkout: string): Promise<Figure[]> {
  const fleet = await gather(checkout, size, 10);
  try {
    const figures: Figure[] = [];
    for (const scenario of [fanout, reading, busy, waiting, restart]) {
      figures.push(...(await scenario(fleet)));
      process.stderr.write(`${scenario.name} `);
    }
    return figures;
  } finally {
    await dismiss(fleet);
  }
}

/**
 * What streams that hold 100 services cost above a server that has none: memory, and CPU for changes of no concern to them. The
 * first streams also bring what does not grow with their number, so memory is given for those that come after them as well.
 */
async function weigh(checkout: string): Promise<Figure[]> {
  const few = Math.max(1, Math.floor(size / 4));
  const costs: { memory: number; cpu: number }[] = [];
  for (const streams of [0, few, size]) {
    const fleet = await gather(checkout, streams, 100);
    const memory = fleet.server.cost.resident;
    const cpu = quantile(await unrelated(fleet), 0.5);
    costs.push({ memory, cpu });
    await dismiss(fleet);
  }
  const [empty, some, all] = costs;
  const perStream = (what: 'memory' | 'cpu', from = empty, to = some, streams = few) =>
    ((to?.[what] ?? Number.NaN) - (from?.[what] ?? Number.NaN)) / streams;
  return [
    {
      measure: `memory per stream that holds 100 services, of the first ${few}`,
      unit: 'KiB',
      value: perStream('memory'),
    },
    {
      measure: `the same, of ${size - few} more`,
      unit: 'KiB',
      value: perStream('memory', some, all, size - few),
    },
    {
      measure: 'server CPU per change that concerns no stream, no streams',
      unit: 'µs',
      value: empty?.cpu ?? Number.NaN,
    },
    { measure: 'the same, more per stream that there is', unit: 'µs', value: perStream('cpu', empty, all, size) },
  ];
}

const commitOf = (checkout: string): string =>
  execFileSync('git', ['-C', checkout, 'rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).trim();

const here = process.cwd();
const checkouts = [...(values.before === undefined ? [] : [values.before]), here];
const figures = new Map<string, Figure[]>(checkouts.map((checkout) => [checkout, []]));
for (let round = 1; round <= Number(values.rounds); round += 1) {
  for (const checkout of checkouts) {
    const found = [...(await measure(checkout)), ...(await weigh(checkout))];
    figures.get(checkout)?.push(...found);
    process.stderr.write(`round ${round}, ${commitOf(checkout)}: ${JSON.stringify(found)}\n`);
  }
}
const [cpu] = cpus();
const text = `# Control plane and fleet

\`make bench-fleet\`, ${new Date().toISOString().slice(0, 10)}: ${size} streams over mutual TLS that hold 10 services each, before
${values.before === undefined ? '-' : commitOf(values.before)} and now ${commitOf(here)} in turn, ${values.rounds} rounds; median (least–largest).
${cpus().length} × ${cpu?.model ?? 'CPU'}, ${Math.round(totalmem() / 2 ** 30)} GiB, Node ${process.version}. The pretended sidecars run on the same cores.

${table(values.before === undefined ? [] : (figures.get(values.before) ?? []), figures.get(here) ?? [])}
`;
process.stdout.write(text);
if (values.out !== undefined) writeFileSync(values.out, text);
