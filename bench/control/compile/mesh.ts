/** A mesh of any size, with ten workloads and three policies to a service; what is particular to one object stays small. */
import type { AuthorizationPolicySpec } from '../../../src/model/authorization-policy.js';
import type { Document } from '../../../src/model/document.js';
import type { Kind } from '../../../src/model/kinds.js';

export const TRUST_DOMAIN = 'sluice.local';

const SERVICES_OF_NAMESPACE = 20;
const MESH_WIDE = 10;

const document = (kind: Kind, namespace: string, name: string, spec: unknown, labels = {}): Document => ({
  kind,
  metadata: {
    name,
    namespace,
    labels,
    annotations: {},
    origin: kind === 'Workload' ? 'sidecar' : 'rest',
    revision: 1,
    createdAt: '2026-11-26T00:00:00.000Z',
    updatedAt: '2026-11-26T00:00:00.000Z',
  },
  spec,
});

const namespaceOf = (service: number): string => `team-${Math.floor(service / SERVICES_OF_NAMESPACE)}`;
const identity = (namespace: string, account: string): string =>
  `spiffe://${TRUST_DOMAIN}/ns/${namespace}/sa/${account}`;

/** The split of a service, two parts of which go to its neighbour. */
export const split = (service: number, weight: number): Document =>
  document('TrafficSplit', namespaceOf(service), `service-${service}`, {
    service: `service-${service}`,
    backends: [
      { service: `service-${service}`, weight },
      { service: `service-${service ^ 1}`, weight: 2 },
    ],
  });

export const workload = (service: number, replica: number, health = 'Healthy'): Document => {
  const namespace = namespaceOf(service);
  const app = `service-${service}`;
  const address = `10.${(service >> 8) & 255}.${service & 255}.${replica}`;
  const labels = {
    app,
    version: `v${replica % 2}`,
    tier: service % 3 === 0 ? 'front' : 'back',
    pod: `${app}-${replica}`,
  };
  return document(
    'Workload',
    namespace,
    `${app}-${replica}`,
    { address, ports: [{ port: 8080 }], identity: identity(namespace, app), health },
    labels,
  );
};

/** The policy of a service: its neighbours may call it. */
export const policy = (service: number, path: string): Document =>
  aPolicy(namespaceOf(service), `service-${service}`, {
    target: { service: `service-${service}` },
    rules: [
      { from: [1, 2, 3].map((near) => ({ identity: identity(namespaceOf(service), `service-${service ^ near}`) })) },
      { from: [{ namespace: namespaceOf(service) }], to: [{ methods: ['GET', 'HEAD'], paths: [path] }] },
    ],
  });

/** A policy that every workload of the mesh has. */
export const meshWide = (number: number, path: string): Document =>
  aPolicy('team-0', `mesh-${number}`, {
    target: { scope: 'Mesh' },
    action: 'Deny',
    rules: [{ from: [{ anyone: 'Everyone' }], to: [{ paths: [path] }] }],
  });

export const settings = (defaultMode: string): Document =>
  document('MeshSettings', '', 'mesh', { defaultMode, clusterNetworks: ['10.0.0.0/8'] });

const aPolicy = (namespace: string, name: string, spec: Partial<AuthorizationPolicySpec>): Document =>
  document('AuthorizationPolicy', namespace, name, { action: 'Allow', mode: 'Enforce', ...spec });

/** Everything in a mesh of so many services. */
export function* documents(services: number): Generator<Document> {
  yield settings('all-authenticated');
  for (let number = 0; number < MESH_WIDE; number += 1) yield meshWide(number, `/internal-${number}/*`);
  for (let service = 0; service < services; service += 1) {
    const namespace = namespaceOf(service);
    const app = `service-${service}`;
    yield document('Service', namespace, app, { selector: { app }, ports: [{ port: 80, protocol: 'HTTP' }] });
    if (service % 10 === 0) yield split(service, 8);
    for (let replica = 0; replica < 10; replica += 1) yield workload(service, replica);
    yield policy(service, '/items/*');
    yield aPolicy(namespace, `${app}-admin`, {
      target: { labels: { tier: service % 3 === 0 ? 'front' : 'back', app } },
      action: 'Deny',
      rules: [{ from: [{ anyone: 'Everyone' }], to: [{ paths: ['/admin', '/admin/*'] }] }],
    });
    // A fifth for all of a namespace, the others for a version of a service.
    const target = service % 5 === 0 ? ({ scope: 'Namespace' } as const) : { labels: { app, version: 'v1' } };
    if (service >= MESH_WIDE)
      yield aPolicy(namespace, `${app}-observed`, {
        target,
        mode: 'Audit',
        rules: [{ from: [{ namespace }], to: [{ methods: ['GET'] }] }],
      });
  }
}
