/** The one shape that every object of the mesh has, whichever door it comes by. */
import type { Kind } from './kinds.js';
import type { Labels } from './names.js';
import type { Precondition } from './precondition.js';

/** The group and the version of the API that our own kinds belong to: the two halves of `apiVersion`. */
export const OWN_API = { group: 'sluice.mesh', version: 'v1' } as const;
export const API_VERSION = `${OWN_API.group}/${OWN_API.version}` as const;

/**
 * Whose word an object is. rest: somebody's wish, kept in the log. sidecar: a fact that the sidecar of a workload reports,
 * kept in the registry and never a revision.
 */
export type Origin = 'rest' | 'sidecar';

/** What a person wrote about an object, apart from its spec. */
export interface Marks {
  readonly labels: Labels;
  readonly annotations: Labels;
}

export interface Metadata extends Marks {
  /**
   * On a policy: the selector of the service that it is for, which was deleted by force. What that chose stays protected until
   * the policy is for something else or there is such a service again. The server's own; ignored when sent.
   */
  readonly protects?: Labels;
  /** A DNS label, unique among the objects of its kind in its namespace. */
  readonly name: string;
  /** Empty for what belongs to the whole mesh. */
  readonly namespace: string;
  readonly origin: Origin;
  /** The revision that last changed it; 0 for a fact. */
  readonly revision: number;
  /** The revision that created it. Absent: a fact, or it was created before servers noted that. */
  readonly createdIn?: number;
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
  readonly only?: Precondition;
}
