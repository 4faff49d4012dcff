/** What is wrong with the ports of a service or a workload beyond the form of their fields. */
import { pointer, type Fault } from '../model/fault.js';
import type { ServicePortDto } from './service.dto.js';
import type { WorkloadPortDto } from './workload.dto.js';

export const servicePortFaults = (ports: readonly ServicePortDto[] | undefined): Fault[] => nameFaults(listOf(ports));

export const workloadPortFaults = (ports: readonly WorkloadPortDto[] | undefined): Fault[] => [
  ...nameFaults(listOf(ports)),
  ...sidecarFaults(listOf(ports)),
];

/** A name that two ports bear leads to neither. */
const nameFaults = (ports: readonly { readonly name?: string }[]): Fault[] =>
  repeated(ports.map(({ name }) => name)).map(({ index, value }) => ({
    pointer: pointer('spec', 'ports', index, 'name'),
    detail: `another port is called "${value}" already`,
  }));

/** Whoever is reached there could only take it for one of the two. */
function sidecarFaults(ports: readonly WorkloadPortDto[]): Fault[] {
  const taken = ports.map(({ port, sidecarPort }) => sidecarPort ?? port);
  return repeated(taken).flatMap(({ index, first, value }) =>
    // A number that is there twice is another rule's business.
    ports[index]?.port === ports[first]?.port
      ? []
      : [
          {
            pointer: pointer('spec', 'ports', index, ports[index]?.sidecarPort === undefined ? 'port' : 'sidecarPort'),
            detail: `another port is reached at ${value} already`,
          },
        ],
  );
}

const repeated = <Value>(values: readonly Value[]) =>
  values.flatMap((value, index) => {
    const first = values.indexOf(value);
    return value !== undefined && first < index ? [{ index, first, value }] : [];
  });

/** The faults of the form are found elsewhere: here, what is no list has nothing in it, and what is no port is none. */
const listOf = <Port extends object>(ports: readonly Port[] | undefined): readonly Port[] =>
  Array.isArray(ports) ? (ports as readonly Port[]) : [];
