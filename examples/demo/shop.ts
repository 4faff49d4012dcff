/** The shop: a control plane and five programs, each beside its own sidecar, all on 127.0.0.1. */
import { join } from 'node:path';
import { call } from '../../test/support/http-call.ts';
import { until } from '../../test/support/processes.ts';
import { startSluice, type Sluice } from '../../test/support/sluice.ts';
import type { Workload } from '../../test/support/workload.ts';

/** How many front pages showed each version of the cart, or failed in some way. */
export type Counts = Readonly<Record<string, number>>;

export interface Shop {
  readonly sluice: Sluice;
  readonly web: Workload;
  readonly job: Workload;
  readonly load: Workload;
  readonly cartV1: Workload;
}

const program =
  (name: string, ...args: readonly string[]) =>
  (port: number): readonly string[] => [
    process.execPath,
    join(import.meta.dirname, `${name}.mjs`),
    String(port),
    ...args,
  ];

export const openShop = (): Promise<Sluice> => startSluice();

/** Starts the programs, all at once. */
export async function startPrograms(sluice: Sluice): Promise<Shop> {
  const cart = (version: string) =>
    sluice.workload(`cart-${version}`, { service: 'cart', labels: { version }, program: program('cart', version) });
  const [web, cartV1, , job, load] = await Promise.all([
    sluice.workload('web', { service: 'web', program: program('web') }),
    cart('v1'),
    cart('v2'),
    sluice.workload('job', { onlyCalls: true, program: program('job') }),
    sluice.workload('load', { onlyCalls: true, program: program('load') }),
  ]);
  await sluice.connected();
  await sluice.converged();
  return { sluice, web, job, load, cartV1 };
}

/** Has the load generator open so many front pages: load → web → cart, each call from sidecar to sidecar. */
export async function visits({ load }: Shop, requests: number): Promise<Counts> {
  const answer = await call(`http://127.0.0.1:${load.port}/run?requests=${requests}`, {
    method: 'POST',
    deadlineMs: 120_000,
  });
  return answer.json as Counts;
}

/** Has front pages opened all the time, until it is told to end. */
export function keepVisiting(shop: Shop): { end(): Promise<Counts> } {
  const counts: Record<string, number> = {};
  let going = true;
  const visiting = (async () => {
    while (going) {
      for (const [seen, number] of Object.entries(await visits(shop, 100))) counts[seen] = (counts[seen] ?? 0) + number;
    }
    return counts;
  })();
  // Should nobody come to end it, its failure is nobody's either.
  visiting.catch(() => undefined);
  return {
    end: () => {
      going = false;
      return visiting;
    },
  };
}

/** What the job was told when it asked the cart. */
export async function jobReport({ job }: Shop): Promise<{ readonly status: number; readonly body: unknown }> {
  const answer = await call(`http://127.0.0.1:${job.port}/run`, { method: 'POST' });
  return answer.json as { status: number; body: unknown };
}

/** Waits until the control plane that was started again has every sidecar back, and says how long that took. */
export async function streamsBack(sluice: Sluice): Promise<number> {
  const start = performance.now();
  await until('every sidecar is back and serves the newest revision', async () => {
    await sluice.connected();
    return sluice.rest.converged(5_000).then(
      () => true,
      () => false,
    );
  });
  return performance.now() - start;
}
