/**
 * `make bench-rpc`: what a stream of the sidecars costs on this server's own gRPC port, beside one of grpc-js, in one run
 * and in turn: memory for each that is open, and CPU for each message that is sent to it and answered. The clients share
 * the machine, so that the ratio counts and not the milliseconds.
 *
 * node bench/control/rpc/run.ts [--streams 1000] [--rounds 3] [--out FILE]
 */
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import type * as authorityModule from '../../../src/identity/authority.js';
import { table, type Figure } from '../fleet/figures.ts';
import type { Material, Told } from './server.ts';

/** The server as it is built; its sources are not what Node runs by itself. */
const built = <Module>(path: string): Promise<Module> =>
  import(new URL(`../../../dist/${path}`, import.meta.url).href) as Promise<Module>;

const { values } = parseArgs({
  options: {
    streams: { type: 'string', default: '1000' },
    rounds: { type: 'string', default: '3' },
    out: { type: 'string' },
  },
});
const streams = Number(values.streams);
/** How long one of the processes may take for a step, in milliseconds. */
const SILENT_MS = 60_000;

async function credentials(): Promise<Material> {
  const directory = mkdtempSync(join(tmpdir(), 'sluice-bench-'));
  try {
    const { Authority } = await built<typeof authorityModule>('identity/authority.js');
    const authority = await Authority.open(directory, 'sluice.local');
    const identity = 'spiffe://sluice.local/ns/bench/sa/bench' as Parameters<typeof authority.issueWithKey>[0];
    const names = ['localhost', '0123456789abcdef.enrolment.sluice.internal'].map(
      (value) => ({ type: 'dns', value }) as const,
    );
    const { keyPem, chainPem } = await authority.issueWithKey(identity, names);
    return { key: keyPem, cert: chainPem, ca: authority.anchorsPem };
  } finally {
    rmSync(directory, { recursive: true });
  }
}

const start = (file: string, ...execArgv: string[]): ChildProcess =>
  fork(join(import.meta.dirname, file), { execArgv: [...process.execArgv, ...execArgv], serialization: 'advanced' });

/** What a process says next. Throws when it ends instead, or says nothing for a minute: it would be waited for in vain. */
async function next(child: ChildProcess, who: string): Promise<Told> {
  const over = new AbortController();
  const { signal } = over;
  try {
    return await Promise.race([
      once(child, 'message', { signal }).then(([told]) => told as Told),
      once(child, 'exit', { signal }).then(([code]) => Promise.reject(new Error(`${who} ended with ${code}`))),
      pause(SILENT_MS, undefined, { signal }).then(() => Promise.reject(new Error(`${who} says nothing`))),
    ]);
  } finally {
    over.abort();
  }
}

async function measure(which: string, material: Material): Promise<Figure[]> {
  const [server, load] = [start('server.ts', '--expose-gc'), start('load.ts')];
  try {
    server.send({ serve: material, which });
    const { port } = await next(server, `the server on ${which}`);
    load.send({ port, streams, material });
    await next(load, 'the load');
    server.send({ measure: streams });
    const {
      residentKb = Number.NaN,
      cpuPerPush = Number.NaN,
      slowestMs = Number.NaN,
    } = await next(server, `the server on ${which}`);
    return [
      { measure: 'CPU for each stream and push', unit: 'µs', value: cpuPerPush },
      { measure: 'memory for each idle stream', unit: 'KiB', value: residentKb },
      { measure: 'slowest push until the last answer', unit: 'ms', value: slowestMs },
    ];
  } finally {
    server.kill();
    load.kill();
  }
}

const material = await credentials();
const [theirs, own]: [Figure[], Figure[]] = [[], []];
for (let round = 0; round < Number(values.rounds); round += 1) {
  theirs.push(...(await measure('grpc-js', material)));
  own.push(...(await measure('rpc', material)));
}
const busy = loadavg()[0]?.toFixed(1);
const text = `# gRPC ports: grpc-js (before) beside src/rpc (now)

${streams} streams over mutual TLS, a connection each; messages of 3,000 bytes, answers of 20; ${cpus().length} cores, shared with the
clients. Load of the machine ${busy}. Median of ${values.rounds} rounds (least–largest).

${table(theirs, own)}
`;
process.stdout.write(text);
if (values.out !== undefined) writeFileSync(values.out, text);
process.exit(0);
