/** The ports that a sidecar reports, as a workload has them, or why it cannot have them. Pure. */
import { isPortName } from '../model/names.js';
import { MAX_WORKLOAD_PORTS, portsInOrder, reachedAt, type WorkloadPort } from '../model/workload.js';
import type { sluice } from '../proto/messages.js';

type Report = Pick<sluice.v1.ReportRequest, 'port' | 'ports'>;

export function portsOf(report: Report): readonly WorkloadPort[] | { readonly fault: string } {
  const ports = portsInOrder(said(report));
  const fault = faultOf(report, ports);
  return fault === undefined ? ports : { fault };
}

/** In proto3, what is 0 or empty was not said. */
function said({ port, ports }: Report): WorkloadPort[] {
  if (ports.length === 0) return port > 0 ? [{ port }] : [];
  return ports.map(({ name, port: number, sidecar_port }) => ({
    ...(name && { name }),
    port: number ?? 0,
    ...(sidecar_port && { sidecarPort: sidecar_port }),
  }));
}

function faultOf({ port, ports: all }: Report, ports: readonly WorkloadPort[]): string | undefined {
  if (all.length > 0 && port > 0) return 'a report says either port or ports';
  if (ports.length > MAX_WORKLOAD_PORTS) return `a workload has at most ${MAX_WORKLOAD_PORTS} ports`;
  const named = ports.flatMap(({ name }) => name ?? []);
  if (!ports.every((one) => isPort(one.port) && isPort(reachedAt(one)))) return 'a port is a number from 1 to 65535';
  if (!named.every(isPortName)) return 'the name of a port is at most 15 of a-z, 0-9 and single "-" between them';
  if (!areDistinct(named)) return 'two ports have one name';
  if (!areDistinct(ports.map((one) => one.port))) return 'one port is said twice';
  if (!areDistinct(ports.map(reachedAt))) return 'two ports are reached at one';
  return undefined;
}

const isPort = (number: number): boolean => number >= 1 && number <= 65_535;

const areDistinct = (values: readonly (string | number)[]): boolean => new Set(values).size === values.length;
