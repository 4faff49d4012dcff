/** Says what keeps an object from having its full effect: references that lead nowhere, and objects that lose to others. */
import type { AuthorizationPolicy } from '../model/authorization-policy.js';
import { keyOf, printRef, refOf, type Ref } from '../model/document.js';
import type { Mesh } from '../model/mesh.js';
import { byName } from '../model/names.js';
import type { Service } from '../model/service.js';
import type { TrafficSplit } from '../model/traffic-split.js';
import { callable, type Resolved } from './resolve.js';

/** The object's status shows it. */
export interface Problem {
  readonly ref: Ref;
  /** The condition that it makes false. */
  readonly condition: 'Accepted' | 'ResolvedRefs';
  /** One word for machines. */
  readonly reason: string;
  /** One sentence for people. */
  readonly message: string;
}

/** Every problem, in the order of the objects that have them. */
export const problemsOf = (mesh: Mesh, resolved: Resolved): Problem[] =>
  findProblems(mesh, resolved).sort((a, b) => byName(sortKey(a), sortKey(b)));

const sortKey = ({ ref, message }: Problem): string => `${printRef(ref)} ${message}`;

const findProblems = (mesh: Mesh, { eclipsed, behind }: Resolved): Problem[] => [
  ...[...eclipsed].map(([split, older]): Problem => ({
    ref: refOf(split),
    condition: 'Accepted',
    reason: 'Conflicted',
    message: `TrafficSplit ${keyOf(older.metadata)} splits service "${split.spec.service}" already and is older`,
  })),
  ...[...behind].flatMap(([service, workloads]) => identityProblems(service, workloads)),
  ...[...mesh.TrafficSplit.values()].flatMap((split) => splitProblems(split, mesh)),
  ...[...mesh.AuthorizationPolicy.values()].flatMap((policy) => policyProblems(policy, mesh)),
];

function identityProblems(service: Service, workloads: Parameters<typeof callable>[0]): Problem[] {
  const called = callable(workloads);
  return workloads
    .filter((workload) => !called.includes(workload))
    .map((workload) => ({
      ref: refOf(workload),
      condition: 'Accepted',
      reason: 'NoIdentity',
      message: `it gets no calls to service "${service.metadata.name}", whose other workloads prove an identity by mutual TLS and it does not`,
    }));
}

function splitProblems(split: TrafficSplit, mesh: Mesh): Problem[] {
  const ref = refOf(split);
  const { namespace } = split.metadata;
  const serviceNamed = (name: string) => mesh.Service.get(keyOf({ namespace, name }));
  const apex = serviceNamed(split.spec.service);
  const unresolved = (reason: string, message: string): Problem => ({
    ref,
    condition: 'ResolvedRefs',
    reason,
    message,
  });
  if (!apex) return [unresolved('ServiceNotFound', `there is no service "${split.spec.service}" to split`)];
  return split.spec.backends.flatMap(({ service: name }) => {
    const backend = serviceNamed(name);
    if (!backend) return unresolved('BackendNotFound', `there is no service "${name}"; its share is answered with 500`);
    const missing = apex.spec.ports.filter(({ port }) => !backend.spec.ports.some((other) => other.port === port));
    return missing.map(({ port }) =>
      unresolved('BackendPortNotFound', `service "${name}" has no port ${port}; its share there is answered with 500`),
    );
  });
}

function policyProblems(policy: AuthorizationPolicy, mesh: Mesh): Problem[] {
  const { target } = policy.spec;
  const { namespace } = policy.metadata;
  if (!('service' in target) || mesh.Service.has(keyOf({ namespace, name: target.service }))) return [];
  return [
    {
      ref: refOf(policy),
      condition: 'ResolvedRefs',
      reason: 'ServiceNotFound',
      message:
        `there is no service "${target.service}"; until there is, this policy protects the workloads of its namespace` +
        ` that are labelled for it, and those that belong to no service at all`,
    },
  ];
}
