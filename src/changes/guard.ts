/** What stands against a deletion, and what a forced one leaves behind so that nothing comes to be less protected by it. */
import type { AuthorizationPolicy } from '../model/authorization-policy.js';
import { keyOf, printRef, refOf, type Document, type Ref } from '../model/document.js';
import { referencesOf } from '../model/kinds.js';
import { documentsOf, find, type Mesh } from '../model/mesh.js';
import { MeshError } from '../model/mesh-error.js';
import { SERVICE_LABEL } from '../model/names.js';
import type { Change } from '../model/revision.js';
import type { Service } from '../model/service.js';

/** How many of those that stand against it an answer names. */
const NAMED = 100;

/** Objects of `mesh` that name what `removed` was, each with its references; what is gone as well does not count. */
export function guardsOf(mesh: Mesh, removed: readonly Change[]): Map<string, Ref[]> {
  const names = new Set(removed.map(({ ref }) => printRef(ref)));
  const guards = new Map<string, Ref[]>();
  if (names.size === 0) return guards;
  for (const document of documentsOf(mesh)) {
    const named = referencesOf(document).filter(({ guards: does, ref }) => does && names.has(printRef(ref)));
    for (const name of new Set(named.map(({ ref }) => printRef(ref)))) {
      guards.set(name, [...(guards.get(name) ?? []), refOf(document)]);
    }
  }
  return guards;
}

/** Throws `conflict`, with all that stand against it as `referencedBy`. */
export function refuseGuarded(guards: ReadonlyMap<string, readonly Ref[]>): void {
  const [first] = guards;
  if (!first) return;
  const [name, by] = first;
  const referencedBy = [...guards.values()].flat().slice(0, NAMED);
  const more = by.length > 1 ? ` and ${by.length - 1} more` : '';
  throw new MeshError(
    'conflict',
    `${name} is named by ${by[0] ? printRef(by[0]) : ''}${more}; change or delete those first, or force it`,
    [],
    { referencedBy },
  );
}

/**
 * The policies of `mesh` as they must be beside `changes`: what was behind a service that goes stays protected by those
 * for that service, and what they remember of it is forgotten when there is a service of that name again.
 */
export function protectedPolicies(mesh: Mesh, changes: readonly Change[]): Document[] {
  const services = new Map(changes.filter(({ ref }) => ref.kind === 'Service').map((one) => [keyOf(one.ref), one]));
  if (services.size === 0) return [];
  return [...mesh.AuthorizationPolicy.values()].flatMap((policy) => {
    const { target } = policy.spec;
    if (!('service' in target)) return [];
    const key = keyOf({ namespace: policy.metadata.namespace, name: target.service });
    const change = services.get(key);
    if (!change) return [];
    const before = change.before as Service | undefined;
    return remembering(policy, change.after ? undefined : before) ?? [];
  });
}

/** `policy` with the selector of a service that is gone, or without one. Undefined: it is so already. */
function remembering(policy: AuthorizationPolicy, service: Service | undefined): AuthorizationPolicy | undefined {
  const { protects, ...metadata } = policy.metadata;
  if (!service) return protects && { ...policy, metadata };
  const selector = service.spec.selector ?? { [SERVICE_LABEL]: service.metadata.name };
  return { ...policy, metadata: { ...metadata, protects: selector } };
}

/** What stood in the mesh before, for a change that this server makes besides. */
export const changeTo = (mesh: Mesh, after: Document): Change => {
  const before = find(mesh, refOf(after));
  return { ref: refOf(after), ...(before && { before }), after };
};
