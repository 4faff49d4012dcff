/** Which services a workload stands behind, without looking at every service for each workload. */
import { keyOf } from '../model/document.js';
import type { Objects } from '../model/mesh.js';
import { SERVICE_LABEL } from '../model/names.js';
import { standsBehind, type Service } from '../model/service.js';
import type { Workload } from '../model/workload.js';

export class Behind {
  private readonly byPlace: Map<string, Service[]>;

  constructor(readonly services: Objects<Service>) {
    this.byPlace = Map.groupBy(services.values(), ({ metadata: { namespace, name }, spec }) => {
      const [label] = Object.entries(spec.selector ?? { [SERVICE_LABEL]: name });
      return label ? placeOf(namespace, label) : namespace;
    });
  }

  /** The keys of the services. */
  of(workload: Workload): string[] {
    const { namespace, labels } = workload.metadata;
    const places = [namespace, ...Object.entries(labels).map((label) => placeOf(namespace, label))];
    const candidates = places.flatMap((place) => this.byPlace.get(place) ?? []);
    return candidates.filter((service) => standsBehind(workload, service)).map(({ metadata }) => keyOf(metadata));
  }
}

/** Labels never hold a space. */
const placeOf = (namespace: string, [key, value]: readonly [string, string]): string => `${namespace} ${key}=${value}`;
