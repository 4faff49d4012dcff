/** Finds what the references of one service or one workload lead to. The rest of `compile` only translates what is found here. */
import { keyOf } from '../model/document.js';
import { MESH_SETTINGS_NAME } from '../model/mesh-settings.js';
import { settingsOf } from '../model/mesh.js';
import type { Service, ServicePort } from '../model/service.js';
import type { TrafficSplit } from '../model/traffic-split.js';
import type { Workload } from '../model/workload.js';
import type { Inbound } from './inbound.js';
import { PLAINTEXT } from './lingering.js';
import type { Outbound, Share } from './outbound.js';
import type { Relations } from './relations.js';
import { serviceName } from './resource-names.js';

/** What callers of `service` are told, port by port. */
export function outboundsOf(service: Service, relations: Relations): Outbound[] {
  const [split] = relations.splitsOf(keyOf(service.metadata));
  const workloads = relations.behind(service).filter(({ spec }) => spec.port !== undefined);
  const accepted = [...new Set(workloads.map(({ spec }) => spec.identity ?? PLAINTEXT))].sort();
  return service.spec.ports.map((port) => ({
    service,
    port,
    split,
    shares: sharesOf(service, port, split),
    workloads,
    accepted,
  }));
}

/** Where a service's traffic goes: by its split, or to what is directly behind it. */
const sharesOf = ({ metadata }: Service, { port }: ServicePort, split: TrafficSplit | undefined): Share[] =>
  (split?.spec.backends ?? [{ service: metadata.name, weight: 1 }]).map(({ service, weight }) => ({
    cluster: serviceName({ namespace: metadata.namespace, name: service }, port),
    weight,
  }));

/** Says whether a sidecar guards `workload`: one without an identity has none, and one without a port is never called. */
export const isGuarded = ({ spec }: Workload): boolean => spec.identity !== undefined && spec.port !== undefined;

/** What decides who may call `workload`. */
export function inboundOf(workload: Workload, relations: Relations): Inbound {
  const { mesh } = relations;
  const written = mesh.MeshSettings.get(MESH_SETTINGS_NAME);
  return {
    workload,
    policies: relations.protecting(workload),
    settings: settingsOf(mesh),
    ...(written && { written }),
    trustDomain: mesh.trustDomain,
  };
}
