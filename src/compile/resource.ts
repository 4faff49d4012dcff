/** One piece of proxy configuration, encoded once and shared by every stream that sends it. */
import { hash } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { printRef, refOf, type Document, type Ref } from '../model/document.js';
import { envoy } from '../proto/messages.js';
import { encodeApart } from './encoding.js';

/** The four types of resource that sidecars ask for, in the order in which a change must reach them (xDS: make before break). */
export const TYPES = {
  cluster: 'type.googleapis.com/envoy.config.cluster.v3.Cluster',
  endpoints: 'type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment',
  listener: 'type.googleapis.com/envoy.config.listener.v3.Listener',
  route: 'type.googleapis.com/envoy.config.route.v3.RouteConfiguration',
} as const;

export type TypeUrl = (typeof TYPES)[keyof typeof TYPES];

export const TYPE_ORDER: readonly TypeUrl[] = [TYPES.cluster, TYPES.endpoints, TYPES.listener, TYPES.route];

/** To which type the resources of a type lead at once. */
export const NEXT: Readonly<Record<TypeUrl, TypeUrl | undefined>> = {
  [TYPES.listener]: TYPES.route,
  [TYPES.route]: TYPES.cluster,
  [TYPES.cluster]: TYPES.endpoints,
  [TYPES.endpoints]: undefined,
};

/** Of which types the resources lead to those of a type, at once or through others. */
export const USERS: Readonly<Record<TypeUrl, readonly TypeUrl[]>> = {
  [TYPES.listener]: [],
  [TYPES.route]: [TYPES.listener],
  [TYPES.cluster]: [TYPES.listener, TYPES.route],
  [TYPES.endpoints]: [TYPES.listener, TYPES.route, TYPES.cluster],
};

export interface Resource {
  readonly type: TypeUrl;
  readonly name: string;
  /** SHA-256 over the bytes, the first 128 bits in hex: equal content has an equal version on every server, for ever. */
  readonly version: string;
  /** The message itself: a part of `entry`. */
  readonly bytes: Uint8Array;
  /** An envoy.service.discovery.v3.Resource around it, as it stands in every response that carries it. */
  readonly entry: Uint8Array;
  /** The sequence at which this version came into the table. */
  readonly since: number;
  /**
   * The names of those of the next type that it leads to: of a listener the routes, of these the clusters, of these the
   * endpoints. Absent: it may lead anywhere.
   */
  readonly leadsTo?: readonly string[];
  /** The objects it was made from, for blame. */
  readonly causes: readonly Ref[];
  /** Of each of them, the sequence at which it came to be one, or as much later as these bytes came. */
  readonly joined: readonly number[];
  /** What it was made from: while every one of these is the same, so is the resource. */
  readonly inputs: readonly unknown[];
}

/** How to make a resource. Only `recipe` makes one, so that what is built depends on the inputs and on nothing else. */
export interface Recipe {
  readonly type: TypeUrl;
  readonly name: string;
  readonly inputs: readonly unknown[];
  readonly causes: readonly Document[];
  readonly leadsTo: readonly string[] | 'anywhere';
  readonly build: () => Uint8Array;
}

/**
 * A recipe whose `build` sees its name and its inputs alone: while each input is the same as before, so is the resource.
 * Give it a plain function: a closure would smuggle in more. `leadsTo` follows from the inputs as well; what leads to
 * anything mostly leads to what has its own name.
 */
export const recipe = <const Inputs extends readonly unknown[]>(
  type: TypeUrl,
  name: string,
  inputs: Inputs,
  causes: readonly Document[],
  build: (name: string, ...inputs: Inputs) => Uint8Array,
  leadsTo: readonly string[] | 'anywhere' = [name],
): Recipe => ({ type, name, inputs, causes, leadsTo, build: () => build(name, ...inputs) });

/** Follows a recipe in the state `sequence`, or hands back `previous` when it still says the same. */
export function make(how: Recipe, previous: Resource | undefined, sequence: number): Resource {
  const { type, name, inputs, causes, leadsTo, build } = how;
  const isOfTheSame = previous && sameRefs(previous.causes, causes);
  const refs = isOfTheSame ? previous.causes : causes.map(refOf);
  const joinedAt = (otherwise: number) => (isOfTheSame ? previous.joined : joining(refs, previous, otherwise));
  if (previous && sameInputs(previous.inputs, inputs)) {
    return isOfTheSame ? previous : { ...previous, causes: refs, joined: joinedAt(previous.since) };
  }
  const message = build();
  const version = hash('sha256', message, 'hex').slice(0, 32);
  if (previous?.version === version) return { ...previous, inputs, causes: refs, joined: joinedAt(previous.since) };
  const entry = encodeApart(envoy.service.discovery.v3.Resource, {
    name,
    version,
    resource: { type_url: type, value: message },
  });
  const bytes = within(entry, message);
  const joined = joinedAt(sequence);
  const resource = { type, name, version, bytes, entry, since: sequence, causes: refs, joined, inputs };
  return leadsTo === 'anywhere' ? resource : { ...resource, leadsTo };
}

/** Since when each of `causes` is one: as before, or `since` for those that were none. */
function joining(causes: readonly Ref[], previous: Resource | undefined, since: number): number[] {
  const before = new Map(previous?.causes.map((ref, at) => [printRef(ref), previous.joined[at]]));
  return causes.map((ref) => before.get(printRef(ref)) ?? since);
}

const sameRefs = (refs: readonly Ref[], documents: readonly Document[]): boolean =>
  refs.length === documents.length &&
  refs.every(({ kind, namespace, name }, index) => {
    const document = documents[index];
    return document?.metadata.name === name && document.metadata.namespace === namespace && document.kind === kind;
  });

/** The part of `whole` that says the same as `part`, so that it need not be kept twice. */
function within(whole: Uint8Array, part: Uint8Array): Uint8Array {
  const at = Buffer.from(whole.buffer, whole.byteOffset, whole.byteLength).indexOf(part);
  return at < 0 ? part : whole.subarray(at, at + part.length);
}

/** Untouched objects of the mesh are the very same ones, so that mostly no comparison in depth is made. */
const sameInputs = (a: readonly unknown[], b: readonly unknown[]): boolean =>
  a.length === b.length && a.every((input, index) => sameInput(input, b[index]));

const sameInput = (a: unknown, b: unknown): boolean => {
  if (a === b) return true;
  if (!Array.isArray(a) || !Array.isArray(b)) return isDeepStrictEqual(a, b);
  return a.length === b.length && a.every((one, index) => one === b[index] || isDeepStrictEqual(one, b[index]));
};
