/** A name that workloads are called by, and the ports behind it. */
import { OWN_API, type Document } from './document.js';
import type { KindDefinition } from './kinds.js';
import { SERVICE_LABEL, selects, type Labels } from './names.js';
import type { Workload, WorkloadPort } from './workload.js';

/**
 * What the programs behind a port speak.
 * HTTP: HTTP/1.1 or HTTP/2, whichever the caller spoke. HTTP2: always HTTP/2 without TLS. GRPC: goes as HTTP2 does.
 * TCP: bytes that nobody looks into. TLS: the same for what programs encrypt themselves.
 */
export const PROTOCOLS = ['HTTP', 'HTTP2', 'GRPC', 'TCP', 'TLS'] as const;
export type Protocol = (typeof PROTOCOLS)[number];

/** Says whether nobody looks into what passes at such a port: no request is judged there, only who connects. */
export const isBytes = (protocol: Protocol): boolean => protocol === 'TCP' || protocol === 'TLS';

export interface ServicePort {
  /** Unique in the service. */
  readonly name?: string;
  /** The port that callers name; 80 when they name none. */
  readonly port: number;
  /** The workload port that takes the calls, by number or by name. Absent: see `targetAt`. */
  readonly targetPort?: number | string;
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

/**
 * The port of a workload at which it takes the calls to a port of a service; undefined if it has none for them. Where no
 * target is named, that is the port of the same number, and otherwise the only one that the workload has.
 */
export function targetAt({ port, targetPort }: ServicePort, { spec: { ports } }: Workload): WorkloadPort | undefined {
  if (typeof targetPort === 'string') return ports.find(({ name }) => name === targetPort);
  const same = ports.find((candidate) => candidate.port === (targetPort ?? port));
  return same ?? (targetPort === undefined && ports.length === 1 ? ports[0] : undefined);
}

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
