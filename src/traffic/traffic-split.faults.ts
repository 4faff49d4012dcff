/** What is wrong with a split beyond the form of its fields. */
import { pointer, type Fault } from '../model/fault.js';
import type { TrafficSplitSpecDto } from './traffic-split.dto.js';

/** A backend that is named twice has two weights, and nobody knows which was meant. */
export function splitFaults({ backends }: Partial<TrafficSplitSpecDto>): Fault[] {
  const services = Array.isArray(backends) ? backends.map((backend) => backend?.service) : [];
  return services.flatMap((service, index) =>
    service !== undefined && services.indexOf(service) < index
      ? [
          {
            pointer: pointer('spec', 'backends', index, 'service'),
            detail: `service "${service}" is a backend already; give it one weight`,
          },
        ]
      : [],
  );
}
