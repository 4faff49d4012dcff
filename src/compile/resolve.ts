/** Finds what every reference of the mesh leads to. The rest of `compile` only translates what is found here. */
import { protects } from '../model/authorization-policy.js';
import { keyOf, type Document } from '../model/document.js';
import { MESH_SETTINGS_NAME } from '../model/mesh-settings.js';
import { settingsOf, type Mesh } from '../model/mesh.js';
import { SERVICE_LABEL, byName } from '../model/names.js';
import { standsBehind, type Service, type ServicePort } from '../model/service.js';
import type { TrafficSplit } from '../model/traffic-split.js';
import type { Workload } from '../model/workload.js';
import type { Inbound } from './inbound.js';
import type { Outbound, Share } from './outbound.js';
import { serviceName } from './resource-names.js';

export interface Resolved {
  readonly outbounds: readonly Outbound[];
  readonly inbounds: readonly Inbound[];
  /** Of two splits of one service the older one is in force; the other is here with the one that has precedence. */
  readonly eclipsed: ReadonlyMap<TrafficSplit, TrafficSplit>;
  /** Everything that stands behind a service and takes calls, in order of name. */
  readonly behind: ReadonlyMap<Service, readonly Workload[]>;
}

export function resolve(mesh: Mesh): Resolved {
  const { inForce, eclipsed } = rank(sorted(mesh.TrafficSplit.values()));
  const index = indexByLabel(sorted(mesh.Workload.values()));
  const services = sorted(mesh.Service.values());
  const behind = new Map(services.map((service) => [service, workloadsBehind(service, index)]));
  const outbounds = services.flatMap((service) => {
    const split = inForce.get(keyOf(service.metadata));
    const workloads = callable(behind.get(service) ?? []);
    return service.spec.ports.map((port): Outbound => ({
      service,
      port,
      split,
      shares: sharesOf(service, port, split),
      workloads,
    }));
  });
  return { outbounds, inbounds: inboundsOf(mesh, services), eclipsed, behind };
}

/** Objects in the order of their keys, so that the order in which they were written never shows. */
const sorted = <D extends Document>(objects: Iterable<D>): D[] =>
  [...objects].sort((a, b) => byName(keyOf(a.metadata), keyOf(b.metadata)));

/** Which split decides for each service (by its key): the oldest, and of equally old ones the first by name. */
function rank(splits: readonly TrafficSplit[]) {
  const inForce = new Map<string, TrafficSplit>();
  const eclipsed = new Map<TrafficSplit, TrafficSplit>();
  const byAge = [...splits].sort((a, b) => byName(a.metadata.createdAt, b.metadata.createdAt));
  for (const split of byAge) {
    const service = keyOf({ namespace: split.metadata.namespace, name: split.spec.service });
    const older = inForce.get(service);
    if (older) eclipsed.set(split, older);
    else inForce.set(service, split);
  }
  return { inForce, eclipsed };
}

/** Where a service's traffic goes: by its split, or to what is directly behind it. */
const sharesOf = ({ metadata }: Service, { port }: ServicePort, split: TrafficSplit | undefined): Share[] =>
  (split?.spec.backends ?? [{ service: metadata.name, weight: 1 }]).map(({ service, weight }) => ({
    cluster: serviceName({ namespace: metadata.namespace, name: service }, port),
    weight,
  }));

/** Workloads by namespace and one of their labels, so that a service need not look at every workload. */
type LabelIndex = ReadonlyMap<string, readonly Workload[]>;

const labelKey = (namespace: string, key: string, value: string): string => `${namespace} ${key}=${value}`;

function indexByLabel(workloads: readonly Workload[]): LabelIndex {
  const index = new Map<string, Workload[]>();
  for (const workload of workloads) {
    for (const [key, value] of Object.entries(workload.metadata.labels)) {
      const label = labelKey(workload.metadata.namespace, key, value);
      const known = index.get(label);
      if (known) known.push(workload);
      else index.set(label, [workload]);
    }
  }
  return index;
}

function workloadsBehind(service: Service, index: LabelIndex): readonly Workload[] {
  const [label] = Object.entries(service.spec.selector ?? { [SERVICE_LABEL]: service.metadata.name });
  const candidates = label ? index.get(labelKey(service.metadata.namespace, ...label)) : undefined;
  return (candidates ?? []).filter((workload) => workload.spec.port !== undefined && standsBehind(workload, service));
}

/**
 * Those of `workloads` that callers are told of. One cluster has one kind of security: where some workloads prove an
 * identity, those without one are left out rather than called in plaintext.
 */
export function callable(workloads: readonly Workload[]): readonly Workload[] {
  const proven = workloads.filter(({ spec }) => spec.identity !== undefined);
  return proven.length > 0 ? proven : workloads;
}

/** A workload without an identity has no sidecar to guard it, and one without a port is never called. */
function inboundsOf(mesh: Mesh, services: readonly Service[]): Inbound[] {
  const settings = settingsOf(mesh);
  const written = mesh.MeshSettings.get(MESH_SETTINGS_NAME);
  const policies = sorted(mesh.AuthorizationPolicy.values());
  const servicesOf = Map.groupBy(services, ({ metadata }) => metadata.namespace);
  return sorted(mesh.Workload.values())
    .filter(({ spec }) => spec.identity !== undefined && spec.port !== undefined)
    .map((workload) => ({
      workload,
      policies: policies.filter((policy) =>
        protects(policy, workload, servicesOf.get(workload.metadata.namespace) ?? []),
      ),
      settings,
      ...(written && { written }),
      trustDomain: mesh.trustDomain,
    }));
}
