/** Whom a changed service leaves without a policy that protected them: what was behind it and is not any more. Pure. */
import { hasSidecar } from '../compile/resolve.js';
import { protection, type AuthorizationPolicy } from '../model/authorization-policy.js';
import { canonicalJson } from '../model/canonical-json.js';
import { keyOf, printRef, refOf, type Ref } from '../model/document.js';
import { find, guardsAgainst, type Mesh } from '../model/mesh.js';
import { MeshError } from '../model/mesh-error.js';
import type { Change } from '../model/revision.js';
import type { Workload } from '../model/workload.js';

/** A policy that protects a workload no more, although neither of the two was changed. */
export interface Exposure {
  readonly policy: Ref;
  /** The first of those that it does not protect any more. */
  readonly workload: Ref;
}

/**
 * By the service that is put, printed, what that takes away from `before`: `after` is the mesh with `changes`. Whoever says
 * something else of a policy means it. That it closed somebody by a guess is no protection to lose: once there is a service
 * that says who is meant, nobody need guess.
 */
export function exposuresOf(before: Mesh, after: Mesh, changes: readonly Change[]): Map<string, Exposure[]> {
  const put = changes.filter(({ ref, after: stands }) => ref.kind === 'Service' && stands);
  const exposed = put.map(({ ref }) => [printRef(ref), exposedBy(ref, before, after)] as const);
  return new Map(exposed.filter(([, some]) => some.length > 0));
}

function exposedBy(service: Ref, before: Mesh, after: Mesh): Exposure[] {
  const policies = guardsAgainst(after, service).flatMap((by) => {
    const [was, is] = [before, after].map((mesh) => mesh.AuthorizationPolicy.get(keyOf(by)));
    return was && is && by.kind === 'AuthorizationPolicy' && isAsBefore(was, is) ? [{ was, is }] : [];
  });
  if (policies.length === 0) return [];
  const stay = [...after.Workload.values()].filter(
    (workload) =>
      workload.metadata.namespace === service.namespace &&
      hasSidecar(workload) &&
      before.Workload.has(keyOf(workload.metadata)),
  );
  const isProtected = (mesh: Mesh, policy: AuthorizationPolicy, workload: Workload): boolean => {
    const stands = find(mesh, { ...service, kind: 'Service' });
    return protection(policy, workload, stands ? [stands] : []) === 'Whole';
  };
  return policies.flatMap(({ was, is }) => {
    const lost = stay.find((workload) => isProtected(before, was, workload) && !isProtected(after, is, workload));
    return lost ? { policy: refOf(is), workload: refOf(lost) } : [];
  });
}

const isAsBefore = (was: AuthorizationPolicy, is: AuthorizationPolicy): boolean =>
  was.spec.mode === 'Enforce' &&
  is.spec.mode === 'Enforce' &&
  canonicalJson(was.spec.target) === canonicalJson(is.spec.target);

/** How many policies an answer names. */
const NAMED = 100;

/** Throws `conflict`, with the policies as `referencedBy`. */
export function refuseExposure(exposures: ReadonlyMap<string, readonly Exposure[]>): void {
  const [first] = exposures;
  const [one] = first?.[1] ?? [];
  if (!first || !one) return;
  const policies = [...exposures.values()].flat().map(({ policy }) => policy);
  const more = policies.length > 1 ? ` and ${policies.length - 1} more` : '';
  throw new MeshError(
    'conflict',
    `${first[0]} would not lead to ${printRef(one.workload)} any more, which so loses the protection of` +
      ` ${printRef(one.policy)}${more}; have the policy say first what it protects, or force it`,
    [],
    { referencedBy: policies.slice(0, NAMED) },
  );
}
