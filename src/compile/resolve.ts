/** Finds what the references of one service or one workload lead to. The rest of `compile` only translates what is found here. */
import { keyOf } from '../model/document.js';
import { MESH_SETTINGS_NAME } from '../model/mesh-settings.js';
import { settingsOf } from '../model/mesh.js';
import { isBytes, targetAt, type Service, type ServicePort } from '../model/service.js';
import type { TrafficSplit } from '../model/traffic-split.js';
import { reachedAt, type Workload } from '../model/workload.js';
import { callerForRequests, callersForBytes } from './carried.js';
import type { Inbound } from './inbound.js';
import { PLAINTEXT } from './lingering.js';
import type { Outbound, Share } from './outbound.js';
import type { Relations } from './relations.js';
import { serviceName } from './resource-names.js';

/** What callers of `service` are told, port by port. */
export function outboundsOf(service: Service, relations: Relations): Outbound[] {
  const [split] = relations.splitsOf(keyOf(service.metadata));
  const behind = relations.behind(service).filter(isCalled);
  return service.spec.ports.map((port) => ({
    service,
    port,
    split,
    shares: sharesOf(service, port, split),
    ...endpointsAt(port, behind, relations),
    behind: behind.length,
  }));
}

/** Who of `behind` takes the calls to a port, where, and who may answer for them. */
function endpointsAt(port: ServicePort, behind: readonly Workload[], relations: Relations): EndpointsAt {
  const workloads: Workload[] = [];
  const places: number[] = [];
  const accepted = new Set<string>();
  let contested: Outbound['contested'];
  for (const workload of behind) {
    const target = targetAt(port, workload);
    if (!target) continue;
    const by = isBytes(port.protocol) ? callerForRequests(target, workload, relations.servicesOf(workload)) : undefined;
    if (by) {
      contested = { workloads: (contested?.workloads ?? 0) + 1, by: contested?.by ?? by };
      continue;
    }
    workloads.push(workload);
    places.push(reachedAt(target));
    accepted.add(workload.spec.identity ?? PLAINTEXT);
  }
  return { workloads, reachedAt: places, accepted: [...accepted].sort(), ...(contested && { contested }) };
}

type EndpointsAt = Pick<Outbound, 'workloads' | 'reachedAt' | 'accepted' | 'contested'>;

/** Where a service's traffic goes: by its split, or to what is directly behind it. */
const sharesOf = ({ metadata }: Service, { port }: ServicePort, split: TrafficSplit | undefined): Share[] =>
  (split?.spec.backends ?? [{ service: metadata.name, weight: 1 }]).map(({ service, weight }) => ({
    cluster: serviceName({ namespace: metadata.namespace, name: service }, port),
    weight,
  }));

/** Says whether `workload` can be called: one without a port only calls. */
export const isCalled = ({ spec }: Workload): boolean => spec.ports.length > 0;

/** Says whether a sidecar guards `workload`, if it can be called: one that was written by hand has none, whoever it proves to be. */
export const hasSidecar = ({ metadata }: Workload): boolean => metadata.origin === 'sidecar';

/** What decides who may call `workload`, port by port. */
export function inboundsOf(workload: Workload, relations: Relations): Inbound[] {
  const { mesh } = relations;
  const written = mesh.MeshSettings.get(MESH_SETTINGS_NAME);
  const common = {
    workload,
    policies: relations.protecting(workload),
    settings: settingsOf(mesh),
    ...(written && { written }),
    trustDomain: mesh.trustDomain,
  };
  const mayCarryBytes = relations.hasBytes(workload.metadata.namespace);
  const services = mayCarryBytes ? relations.servicesOf(workload) : [];
  return workload.spec.ports.map((port) => ({ ...common, port, forBytes: callersForBytes(port, workload, services) }));
}
