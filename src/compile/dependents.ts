/** What must be made or judged again when an object comes, changes or goes: everything that may have read it. */
import { keyOf } from '../model/document.js';
import type { AnyDocument } from '../model/kinds.js';
import type { Service } from '../model/service.js';
import { hasBytes } from './carried.js';
import { apexOf, type Relations } from './relations.js';

/** Keys of objects: services and workloads whose resources may be other ones, splits and policies whose problems may be. */
export class Dependents {
  readonly services = new Set<string>();
  readonly workloads = new Set<string>();
  readonly splits = new Set<string>();
  readonly policies = new Set<string>();

  /** What any of `parts` names; the only one itself. */
  static of(parts: readonly Dependents[]): Dependents {
    const [only] = parts;
    if (only && parts.length === 1) return only;
    const all = new Dependents();
    for (const { services, workloads, splits, policies } of parts) {
      addTo(all.services, services);
      addTo(all.workloads, workloads);
      addTo(all.splits, splits);
      addTo(all.policies, policies);
    }
    return all;
  }

  /** Everything there is. */
  addAll({ mesh }: Relations): void {
    addTo(this.services, mesh.Service.keys());
    addTo(this.workloads, mesh.Workload.keys());
    addTo(this.splits, mesh.TrafficSplit.keys());
    addTo(this.policies, mesh.AuthorizationPolicy.keys());
  }

  /** Workloads that may carry another thing for what `service` says, and the services for bytes that count on them. */
  private addBeside(relations: Relations, service: Service): void {
    for (const workload of relations.behind(service)) {
      this.workloads.add(keyOf(workload.metadata));
      for (const other of relations.servicesOf(workload)) if (hasBytes(other)) this.services.add(keyOf(other.metadata));
    }
  }

  /**
   * What reads `document` as the mesh stands: to be asked of the mesh that has it before as well as of the one after.
   * `cameOrWent`: only one of these has an object of that name, so that what reads its absence counts too.
   */
  add(relations: Relations, document: AnyDocument, cameOrWent: boolean): void {
    const { metadata } = document;
    const key = keyOf(metadata);
    switch (document.kind) {
      case 'Service': {
        const policies = [...relations.policiesFor(key)];
        this.services.add(key);
        addTo(this.splits, relations.splitsThatName(key));
        addTo(this.policies, policies);
        if (policies.length > 0 || relations.hasStranded(metadata.namespace)) {
          addTo(this.workloads, relations.candidatesFor(document));
        }
        if (relations.hasBytes(metadata.namespace)) this.addBeside(relations, document);
        if (policies.length > 0 && cameOrWent) addTo(this.workloads, relations.workloadsOf(metadata.namespace));
        return;
      }
      case 'Workload':
        this.workloads.add(key);
        for (const service of relations.servicesOf(document)) this.services.add(keyOf(service.metadata));
        return;
      case 'TrafficSplit':
        this.services.add(apexOf(document));
        this.splits.add(key);
        for (const split of relations.splitsOf(apexOf(document))) this.splits.add(keyOf(split.metadata));
        return;
      case 'AuthorizationPolicy':
        this.policies.add(key);
        addTo(this.workloads, relations.coverage(document));
        return;
      case 'MeshSettings':
        addTo(this.workloads, relations.mesh.Workload.keys());
    }
  }
}

const addTo = (set: Set<string>, keys: Iterable<string>): void => {
  for (const key of keys) set.add(key);
};
