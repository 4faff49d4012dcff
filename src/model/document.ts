/** The one shape that every object of the mesh has, whichever door it comes by. */
import type { Labels } from './names.js';

export const API_VERSION = 'sluice.mesh/v1';

/** The kinds of object, with the word that stands for their collection in a URL and whether a namespace holds them. */
export const KINDS = {
  Service: { collection: 'services', namespaced: true },
  Workload: { collection: 'workloads', namespaced: true },
  TrafficSplit: { collection: 'traffic-splits', namespaced: true },
  AuthorizationPolicy: { collection: 'authorization-policies', namespaced: true },
  MeshSettings: { collection: 'mesh-settings', namespaced: false },
} as const;

export type Kind = keyof typeof KINDS;

/** Who wrote an object: somebody over REST, or the sidecar whose workload it is. */
export type Origin = 'rest' | 'sidecar';

/** What a person wrote about an object, apart from its spec. */
export interface Marks {
  readonly labels: Labels;
  readonly annotations: Labels;
}

export interface Metadata extends Marks {
  /** A DNS label, unique among the objects of its kind in its namespace. */
  readonly name: string;
  /** Empty for what belongs to the whole mesh. */
  readonly namespace: string;
  readonly origin: Origin;
  /** The revision that last changed it. */
  readonly revision: number;
  /** ISO 8601, UTC, milliseconds. */
  readonly createdAt: string;
  readonly updatedAt: string;
}

/** An object as the mesh holds it. Frozen in spirit: a change makes a new one. */
export interface Document<K extends Kind = Kind, Spec = unknown> {
  readonly kind: K;
  readonly metadata: Metadata;
  readonly spec: Spec;
}

/** Names one object of the mesh. */
export interface Ref {
  readonly kind: Kind;
  readonly namespace: string;
  readonly name: string;
}

export const refOf = ({ kind, metadata }: Document): Ref => ({
  kind,
  namespace: metadata.namespace,
  name: metadata.name,
});

/** The key of an object among those of its kind: `namespace/name`, or just `name` for what has no namespace. */
export const keyOf = ({ namespace, name }: { readonly namespace: string; readonly name: string }): string =>
  namespace === '' ? name : `${namespace}/${name}`;

/** A reference as people read it in messages, and as a route's name carries it: `TrafficSplit shop/cart`. */
export const printRef = (ref: Ref): string => `${ref.kind} ${keyOf(ref)}`;

/** What somebody wants an object to be; the store adds the rest of its metadata when it commits it. */
export interface Draft<K extends Kind = Kind, Spec = unknown> extends Ref, Marks {
  readonly kind: K;
  readonly origin: Origin;
  readonly spec: Spec;
  /** Given: the object must still stand at this revision (0: it must not exist), or nothing is committed. */
  readonly basedOn?: number;
}
