/** A name that workloads are called by, and the ports behind it. */
import { OWN_API, type Document } from './document.js';
import type { KindDefinition } from './kinds.js';
import { SERVICE_LABEL, selects, type Labels } from './names.js';
import type { Workload } from './workload.js';

/**
 * What the programs behind a port speak.
 * HTTP: HTTP/1.1 or HTTP/2, whichever the caller spoke. HTTP2: always HTTP/2 without TLS, as gRPC servers want.
 */
export const PROTOCOLS = ['HTTP', 'HTTP2'] as const;
export type Protocol = (typeof PROTOCOLS)[number];

export interface ServicePort {
  /** The port that callers name; 80 when they name none. */
  readonly port: number;
  readonly protocol: Protocol;
}

export interface ServiceSpec {
  /** Labels of the workloads behind it, in its own namespace. Absent: those labelled `sluice.mesh/service: <its name>`. */
  readonly selector?: Labels;
  /** At least one, by ascending port. */
  readonly ports: readonly ServicePort[];
}

export type Service = Document<'Service', ServiceSpec>;

/** Says whether `workload` stands behind `service`. */
export const standsBehind = (workload: Workload, service: Service): boolean =>
  workload.metadata.namespace === service.metadata.namespace &&
  selects(service.spec.selector ?? { [SERVICE_LABEL]: service.metadata.name }, workload.metadata.labels);

/** A service names nothing: its selector chooses among the workloads that there are. */
export const serviceKind: KindDefinition<Service> = {
  ...OWN_API,
  kind: 'Service',
  collection: 'services',
  namespaced: true,
  noun: 'service',
  shortNames: ['svc'],
  references: () => [],
};
