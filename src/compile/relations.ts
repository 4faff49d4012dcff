/** What leads to what in a mesh, kept up from one mesh to the next: no question is answered by looking at all of it. */
import { closedAlone, protection, type AuthorizationPolicy, type Target } from '../model/authorization-policy.js';
import { keyOf, refOf, type Ref } from '../model/document.js';
import type { AnyDocument } from '../model/kinds.js';
import { documentsOf, emptyMesh, find, type Mesh } from '../model/mesh.js';
import { SERVICE_LABEL, byName } from '../model/names.js';
import { standsBehind, type Service } from '../model/service.js';
import type { TrafficSplit } from '../model/traffic-split.js';
import type { Workload } from '../model/workload.js';
import { Alike } from './alike.js';
import { hasBytes } from './carried.js';
import { Identities, askedFor } from './identities.js';
import { Labelled, Selecting, type Place } from './labels.js';
import { Multimap } from './multimap.js';

/** Keys of objects, in whatever order. */
type Keys = Iterable<string>;

export class Relations {
  private readonly workloads = new Labelled();
  private readonly services = new Selecting();
  /** By namespace: services with a port for bytes. */
  private readonly forBytes = new Multimap<string, string>();
  private readonly splits = new Multimap<string, string>();
  private readonly splitsNaming = new Multimap<string, string>();
  private readonly policiesByScope = new Multimap<string, string>();
  private readonly policiesByLabels = new Selecting();
  private readonly policiesByService = new Multimap<string, string>();
  /** By namespace: policies for a service that does not exist. */
  private readonly stranded = new Multimap<string, string>();
  private readonly policiesAsking = new Multimap<string, string>();
  private readonly identities = new Identities();
  private readonly alike = new Alike();

  /** @param now an empty mesh */
  private constructor(private now: Mesh) {}

  /** Those of `mesh`. */
  static of(mesh: Mesh): Relations {
    const relations = new Relations(emptyMesh(mesh.trustDomain));
    relations.move(mesh, [...documentsOf(mesh)].map(refOf));
    return relations;
  }

  get mesh(): Mesh {
    return this.now;
  }

  /** Goes on to `mesh`, which differs at `refs` alone. Gives the policies that ask for what somebody now has, or nobody any more. */
  move(mesh: Mesh, refs: Iterable<Ref>): Set<string> {
    const steps = [...refs].map((ref) => ({ before: find(this.now, ref), after: find(mesh, ref) }));
    this.now = mesh;
    const shifted = new Set<string>();
    for (const { before, after } of steps) {
      if (before) this.list('delete', before);
      if (after) this.list('add', after);
      for (const asked of this.recount(identityOf(before), identityOf(after)))
        for (const policy of this.policiesAsking.get(asked)) shifted.add(policy);
    }
    return shifted;
  }

  /** The workloads that stand behind `service`, by name. */
  behind(service: Service): Workload[] {
    const workloads = [...this.workloads.among(selectorOf(service))].sort(byName).flatMap((key) => this.workload(key));
    return workloads.filter((workload) => standsBehind(workload, service));
  }

  /** The services that `workload` stands behind. */
  servicesOf(workload: Workload): Service[] {
    const services = this.services.among(workload.metadata).flatMap((key) => this.now.Service.get(key) ?? []);
    return services.filter((service) => standsBehind(workload, service));
  }

  /** Says whether a service of the namespace has a port for bytes: what its workloads carry depends on all their services then. */
  hasBytes(namespace: string): boolean {
    return this.forBytes.get(namespace).size > 0;
  }

  service(namespace: string, name: string): Service | undefined {
    return this.now.Service.get(keyOf({ namespace, name }));
  }

  /**
   * The splits of a service (by its key), the one that decides first: that of the earliest revision, whatever clocks said at the
   * time, and of one revision the first by name. Those of which no revision is known are older.
   */
  splitsOf(service: string): TrafficSplit[] {
    const splits = [...this.splits.get(service)].sort(byName).flatMap((key) => this.now.TrafficSplit.get(key) ?? []);
    return splits.sort(
      ({ metadata: a }, { metadata: b }) => (a.createdIn ?? 0) - (b.createdIn ?? 0) || byName(a.createdAt, b.createdAt),
    );
  }

  /** The splits that name a service (by its key), as what they split or as a backend. */
  splitsThatName(service: string): Keys {
    return this.splitsNaming.get(service);
  }

  /** The policies for a service (by its key), whether it exists or not. */
  policiesFor(service: string): Keys {
    return this.policiesByService.get(service);
  }

  /** Says whether it matters to policies of a namespace which services its workloads stand behind. */
  hasStranded(namespace: string): boolean {
    return this.stranded.get(namespace).size > 0;
  }

  /** The policies that protect `workload`, by key; those that only close it without what they allow. */
  protecting(workload: Workload): readonly AuthorizationPolicy[] {
    const { namespace } = workload.metadata;
    const standing = this.servicesOf(workload);
    const candidates: AuthorizationPolicy[] = [];
    for (const keys of [
      this.policiesByScope.get(''),
      this.policiesByScope.get(namespace),
      this.policiesByLabels.among(workload.metadata),
      ...standing.map(({ metadata }) => this.policiesByService.get(keyOf(metadata))),
      this.stranded.get(namespace),
    ]) {
      for (const key of keys) {
        const policy = this.now.AuthorizationPolicy.get(key);
        const how = policy && protection(policy, workload, standing);
        if (how) candidates.push(how === 'Whole' ? policy : closedAlone(policy));
      }
    }
    return this.alike.of(candidates);
  }

  /** Workloads among which are all that `policy` protects. */
  coverage({ metadata: { namespace }, spec: { target } }: AuthorizationPolicy): Keys {
    if ('scope' in target) return target.scope === 'Mesh' ? this.now.Workload.keys() : this.workloadsOf(namespace);
    if ('labels' in target) return this.workloads.among({ namespace, labels: target.labels });
    const service = this.service(namespace, target.service);
    return service ? this.workloads.among(selectorOf(service)) : this.workloadsOf(namespace);
  }

  workloadsOf(namespace: string): Keys {
    return this.workloads.among({ namespace, labels: {} });
  }

  /** Workloads among which are all that stand behind `service`. */
  candidatesFor(service: Service): Keys {
    return this.workloads.among(selectorOf(service));
  }

  /** Says whether some workload has an identity such as is asked for (see `askedFor`). */
  someoneIs(asked: string): boolean {
    return this.identities.has(asked);
  }

  private workload(key: string): Workload | [] {
    return this.now.Workload.get(key) ?? [];
  }

  /** Puts `document` into the indexes, or takes it out. */
  private list(how: 'add' | 'delete', document: AnyDocument): void {
    const key = keyOf(document.metadata);
    const { namespace } = document.metadata;
    switch (document.kind) {
      case 'Workload':
        return this.workloads[how](key, document.metadata);
      case 'Service':
        this.services[how](key, selectorOf(document));
        if (hasBytes(document)) this.forBytes[how](namespace, key);
        return this.strand(key, namespace);
      case 'TrafficSplit':
        this.splits[how](apexOf(document), key);
        for (const named of namedBy(document)) this.splitsNaming[how](named, key);
        return;
      case 'AuthorizationPolicy':
        this.listTarget(how, key, namespace, document.spec.target);
        for (const asked of this.asks(document)) this.policiesAsking[how](asked, key);
        return;
      case 'MeshSettings':
    }
  }

  private listTarget(how: 'add' | 'delete', key: string, namespace: string, target: Target): void {
    if ('scope' in target) this.policiesByScope[how](target.scope === 'Mesh' ? '' : namespace, key);
    else if ('labels' in target) this.policiesByLabels[how](key, { namespace, labels: target.labels });
    else {
      const service = keyOf({ namespace, name: target.service });
      this.policiesByService[how](service, key);
      this.stranded.delete(namespace, key);
      this.strand(service, namespace);
    }
  }

  /** Notes of the policies for a service (by its key) whether it exists. */
  private strand(service: string, namespace: string): void {
    for (const policy of this.policiesByService.get(service)) {
      if (this.now.Service.has(service)) this.stranded.delete(namespace, policy);
      else this.stranded.add(namespace, policy);
    }
  }

  private recount(before: string | undefined, after: string | undefined): string[] {
    if (before === after) return [];
    return [
      ...(before === undefined ? [] : this.identities.delete(before)),
      ...(after === undefined ? [] : this.identities.add(after)),
    ];
  }

  private asks({ spec }: AuthorizationPolicy): Set<string> {
    const sources = spec.rules.flatMap(({ from }) => from);
    return new Set(sources.flatMap((source) => askedFor(source, this.now.trustDomain) ?? []));
  }
}

const selectorOf = ({ metadata: { namespace, name }, spec }: Service): Place => ({
  namespace,
  labels: spec.selector ?? { [SERVICE_LABEL]: name },
});

/** The key of the service that a split shares out. */
export const apexOf = ({ metadata: { namespace }, spec }: TrafficSplit): string =>
  keyOf({ namespace, name: spec.service });

const namedBy = (split: TrafficSplit): Set<string> => {
  const { namespace } = split.metadata;
  const backends = split.spec.backends.map(({ service }) => keyOf({ namespace, name: service }));
  return new Set([apexOf(split), ...backends]);
};

const identityOf = (document: AnyDocument | undefined): string | undefined =>
  document?.kind === 'Workload' ? document.spec.identity : undefined;
