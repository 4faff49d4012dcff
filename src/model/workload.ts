/** One running program that may be called, call others, or both: where it is, who it is and how it fares. */
import { OWN_API, type Document } from './document.js';
import type { KindDefinition } from './kinds.js';
import type { SpiffeId } from './names.js';

/** Healthy takes calls; Draining finishes those it has; Unhealthy gets none. */
export const HEALTHS = ['Healthy', 'Unhealthy', 'Draining'] as const;
export type Health = (typeof HEALTHS)[number];

export interface WorkloadSpec {
  /** An IP address. */
  readonly address: string;
  /** Where other sidecars reach it. Absent: it only calls. */
  readonly port?: number;
  /** Who it proves to be by mutual TLS. Absent: it has no sidecar, and is called in plaintext. */
  readonly identity?: SpiffeId;
  readonly health: Health;
}

export type Workload = Document<'Workload', WorkloadSpec>;

export const workloadKind: KindDefinition<Workload> = {
  ...OWN_API,
  kind: 'Workload',
  collection: 'workloads',
  namespaced: true,
  noun: 'workload',
  shortNames: ['wl'],
  references: () => [],
};
