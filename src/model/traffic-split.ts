/** How the traffic of one service is shared between versions: the short form of a route. */
import { OWN_API, type Document } from './document.js';
import { pointer } from './fault.js';
import type { KindDefinition, Reference } from './kinds.js';

/** The largest weight of a backend. A split of 100 backends then still sums to less than 2^32, as xDS requires. */
export const MAX_WEIGHT = 1_000_000;
export const MAX_BACKENDS = 100;

export interface Backend {
  /** A service of the same namespace; the split's own service stands for the workloads directly behind it. */
  readonly service: string;
  /** A whole number from 0 to MAX_WEIGHT; the share is this over the sum of all. */
  readonly weight: number;
}

export interface TrafficSplitSpec {
  readonly service: string;
  readonly backends: readonly Backend[];
}

export type TrafficSplit = Document<'TrafficSplit', TrafficSplitSpec>;

export const trafficSplitKind: KindDefinition<TrafficSplit> = {
  ...OWN_API,
  kind: 'TrafficSplit',
  collection: 'traffic-splits',
  namespaced: true,
  noun: 'traffic split',
  shortNames: ['splits', 'split', 'ts'],
  references: ({ metadata: { namespace }, spec }) => {
    const toService = (name: string, at: string): Reference => ({
      ref: { kind: 'Service', namespace, name },
      pointer: at,
      guards: true,
    });
    return [
      toService(spec.service, pointer('spec', 'service')),
      ...spec.backends.map(({ service }, index) => toService(service, pointer('spec', 'backends', index, 'service'))),
    ];
  },
};
