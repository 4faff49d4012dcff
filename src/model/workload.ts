/** One running program that may be called, call others, or both: where it is, who it is and how it fares. */
import { OWN_API, type Document } from './document.js';
import type { KindDefinition } from './kinds.js';
import type { SpiffeId } from './names.js';

/** Healthy takes calls; Draining finishes those it has; Unhealthy gets none. */
export const HEALTHS = ['Healthy', 'Unhealthy', 'Draining'] as const;
export type Health = (typeof HEALTHS)[number];

/** A port of a workload as its owners know it: services and policies speak of it by its number, services also by its name. */
export interface WorkloadPort {
  readonly name?: string;
  /** What the program listens on. */
  readonly port: number;
  /** Where other sidecars reach it, if that is another port: where nothing redirects packets, as on a laptop. */
  readonly sidecarPort?: number;
}

/** Ports that one workload may have. */
export const MAX_WORKLOAD_PORTS = 16;

export interface WorkloadSpec {
  /** An IP address. */
  readonly address: string;
  /** By ascending port; numbers and names are each unique. None: it only calls. */
  readonly ports: readonly WorkloadPort[];
  /** Who it proves to be by mutual TLS. Absent: it has no sidecar, and is called in plaintext. */
  readonly identity?: SpiffeId;
  readonly health: Health;
}

export type Workload = Document<'Workload', WorkloadSpec>;

/** Where callers reach a port. */
export const reachedAt = ({ port, sidecarPort }: WorkloadPort): number => sidecarPort ?? port;

/** Ports as a spec has them: in order, and nothing said that need not be. */
export const portsInOrder = (ports: readonly WorkloadPort[]): WorkloadPort[] =>
  ports
    .map(({ name, port, sidecarPort = port }) => ({
      ...(name !== undefined && { name }),
      port,
      ...(sidecarPort !== port && { sidecarPort }),
    }))
    .sort((a, b) => a.port - b.port);

/** Until a workload could have several ports, its spec said where others reach it: that was its one port. */
export function upgradedWorkload(
  spec: WorkloadSpec | (Omit<WorkloadSpec, 'ports'> & { readonly port?: number }),
): WorkloadSpec {
  if ('ports' in spec) return spec;
  const { port, ...rest } = spec;
  return { ...rest, ports: port === undefined ? [] : [{ port }] };
}

export const workloadKind: KindDefinition<Workload> = {
  ...OWN_API,
  kind: 'Workload',
  collection: 'workloads',
  namespaced: true,
  noun: 'workload',
  shortNames: ['wl'],
  references: () => [],
  upgrade: (spec) => upgradedWorkload(spec as WorkloadSpec),
};
