/** What each port of a workload carries: requests, or bytes that nobody looks into. A workload does not say; the services that target it do. Pure. */
import { byName } from '../model/names.js';
import { isBytes, targetAt, type Service, type ServicePort } from '../model/service.js';
import type { Workload, WorkloadPort } from '../model/workload.js';

/** Those of `services`, all that `workload` stands behind, by whose word bytes pass at `port`; none: requests do. */
export function callersForBytes(port: WorkloadPort, workload: Workload, services: readonly Service[]): Service[] {
  const targeting = [...portsTargeting(port, workload, services)];
  const areAlike = targeting.every(([, { protocol }]) => isBytes(protocol));
  return areAlike ? inOrder(new Set(targeting.map(([service]) => service))) : [];
}

/** The first of `services` that calls `port` of `workload` for requests, which hold there then: bytes would go past the rules for paths. */
export function callerForRequests(
  port: WorkloadPort,
  workload: Workload,
  services: readonly Service[],
): Service | undefined {
  const targeting = [...portsTargeting(port, workload, services)];
  const [first] = inOrder(targeting.flatMap(([service, { protocol }]) => (isBytes(protocol) ? [] : service)));
  return first;
}

/** Indexes give them in whatever order; the same mesh has to come to the same. */
const inOrder = (services: Iterable<Service>): Service[] =>
  [...services].sort((a, b) => byName(a.metadata.name, b.metadata.name));

function* portsTargeting(
  port: WorkloadPort,
  workload: Workload,
  services: readonly Service[],
): Generator<[Service, ServicePort]> {
  for (const service of services)
    for (const own of service.spec.ports) if (targetAt(own, workload)?.port === port.port) yield [service, own];
}

/** Says whether some port of `service` is for bytes. */
export const hasBytes = ({ spec }: Service): boolean => spec.ports.some(({ protocol }) => isBytes(protocol));
