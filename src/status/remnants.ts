/**
 * What sidecars hold of what there is no more, and which changes would be changes of that: whoever goes on with it goes on without
 * them, and receipts say so. Pure.
 */
import { isInbound } from '../compile/resource-names.js';
import { protection, type AuthorizationPolicy } from '../model/authorization-policy.js';
import { keyOf, printRef, type Document, type Ref } from '../model/document.js';
import { guardsAgainst, type Mesh } from '../model/mesh.js';
import type { Labels } from '../model/names.js';
import type { Change } from '../model/revision.js';
import { standsBehind, type Service } from '../model/service.js';
import type { Workload } from '../model/workload.js';
import type { Remnant } from '../stream/client.js';

/** Whose sidecar holds it: its workload may be gone. */
export interface Owner {
  readonly namespace: string;
  readonly name: string;
  readonly labels: Labels;
}

/** Whether `remnant` is known to have been made of any of `refs`. */
export const isMadeOf = ({ causes = [] }: Remnant, refs: readonly Ref[]): boolean =>
  refs.map(printRef).some((ref) => causes.some((cause) => printRef(cause) === ref));

/** Whether `changes`, which led to `mesh`, would have changed `remnant`. */
export const isChangedBy = (remnant: Remnant, owner: Owner, changes: readonly Change[], mesh: Mesh): boolean => {
  const refs = changes.map(({ ref }) => ref);
  if (isMadeOf(remnant, refs)) return true;
  return isInbound(remnant.name) && changes.some((change) => mayGuard(change, asWorkload(owner), mesh));
};

/** Whether a change may be one of who may call a workload that is not in `mesh`. */
function mayGuard({ ref, before, after }: Change, workload: Workload, mesh: Mesh): boolean {
  const versions = [before, after].flatMap((one): Document[] => (one ? [one] : []));
  switch (ref.kind) {
    case 'MeshSettings':
      return true;
    case 'AuthorizationPolicy':
      return versions.some((one) => isProtectedBy(workload, one as AuthorizationPolicy, mesh));
    case 'Service': {
      if (!guardsAgainst(mesh, ref).some(({ kind }) => kind === 'AuthorizationPolicy')) return false;
      const cameOrWent = versions.length < 2;
      const led = versions.filter((one) => standsBehind(workload, one as Service));
      return cameOrWent ? ref.namespace === workload.metadata.namespace : led.length === 1;
    }
    case 'TrafficSplit':
    case 'Workload':
      return false;
  }
}

function isProtectedBy(workload: Workload, policy: AuthorizationPolicy, mesh: Mesh): boolean {
  const { namespace } = policy.metadata;
  const { target } = policy.spec;
  const service = 'service' in target ? mesh.Service.get(keyOf({ namespace, name: target.service })) : undefined;
  // For one that there is not, all others tell who could be meant.
  const services = service || !('service' in target) ? [service] : [...mesh.Service.values()];
  const near = services.flatMap((one) => (one?.metadata.namespace === namespace ? one : []));
  return protection(policy, workload, near) !== undefined;
}

/** As policies see it. */
const asWorkload = ({ namespace, name, labels }: Owner): Workload => ({
  kind: 'Workload',
  metadata: {
    ...{ namespace, name, labels },
    ...{ annotations: {}, origin: 'sidecar', revision: 0, createdAt: '', updatedAt: '' },
  },
  spec: { address: '', ports: [], health: 'Unhealthy' },
});
