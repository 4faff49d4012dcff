/** What stands against a deletion, and what a forced one leaves behind so that nothing comes to be less protected by it. */
import type { AuthorizationPolicy, AuthorizationPolicySpec } from '../model/authorization-policy.js';
import { canonicalJson } from '../model/canonical-json.js';
import { printRef, refOf, type Document, type Metadata, type Ref } from '../model/document.js';
import { find, guardsAgainst, type Mesh } from '../model/mesh.js';
import { MeshError } from '../model/mesh-error.js';
import { SERVICE_LABEL } from '../model/names.js';
import type { Change } from '../model/revision.js';
import type { Service } from '../model/service.js';

/** How many of those that stand against it an answer names. */
const NAMED = 100;

/** By what is removed, the objects of `mesh` that still name it. */
export function guardsOf(mesh: Mesh, removed: readonly Change[]): Map<string, Ref[]> {
  const guards = removed.map(({ ref }) => [printRef(ref), guardsAgainst(mesh, ref)] as const);
  return new Map(guards.filter(([, by]) => by.length > 0));
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
  return changes.flatMap(({ ref, before, after }) => {
    if (ref.kind !== 'Service') return [];
    const policies = guardsAgainst(mesh, ref).flatMap((by) =>
      by.kind === 'AuthorizationPolicy' ? (find(mesh, { ...by, kind: by.kind }) ?? []) : [],
    );
    const gone = after ? undefined : (before as Service | undefined);
    return policies.flatMap((policy) => remembering(policy, gone) ?? []);
  });
}

/** `policy` with the selector of a service that is gone, or without one. Undefined: it is so already. */
function remembering(policy: AuthorizationPolicy, service: Service | undefined): AuthorizationPolicy | undefined {
  const { protects, ...metadata } = policy.metadata;
  if (!service) return protects && { ...policy, metadata };
  const selector = service.spec.selector ?? { [SERVICE_LABEL]: service.metadata.name };
  return { ...policy, metadata: { ...metadata, protects: selector } };
}

/** What `before` remembers of a service that is gone, and still does when its spec is `spec`: the same service is meant. */
export function rememberedBy(before: Document | undefined, spec: unknown): Pick<Metadata, 'protects'> {
  const protects = before?.metadata.protects;
  if (before?.kind !== 'AuthorizationPolicy' || protects === undefined) return {};
  const [was, is] = [before, { spec }].map((one) => (one.spec as AuthorizationPolicySpec).target);
  return canonicalJson(was) === canonicalJson(is) ? { protects } : {};
}

/** What stood in the mesh before, for a change that this server makes besides. */
export const changeTo = (mesh: Mesh, after: Document): Change => {
  const before = find(mesh, refOf(after));
  return { ref: refOf(after), ...(before && { before }), after };
};
