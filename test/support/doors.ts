/** The ports of a control plane that is a process, for a client that says exactly what it is told. */
import { readFileSync } from 'node:fs';
import type { Doors } from './grpc-client.ts';
import type { Sluice } from './sluice.ts';

export const doorsOf = (sluice: Sluice): Doors => ({
  joinPort: portOf(sluice.join),
  xdsPort: portOf(sluice.xds),
  trustAnchors: readFileSync(sluice.trustAnchors, 'utf8'),
  joinToken: async (namespace, { name }) =>
    (await sluice.cli(['token', 'join', '-n', namespace, '--name', name])).stdout.trim(),
});

const portOf = (address: string): number => Number(address.split(':').at(-1));
