/** Meshes of every kind, small enough to collide: for what must hold whatever people write. */
import * as fc from 'fast-check';
import { printRef, refOf, type Document, type Ref } from '../../src/model/document.js';
import { ACTIONS, ANYONE, MODES, SCOPES } from '../../src/model/authorization-policy.js';
import type { Kind } from '../../src/model/kinds.js';
import { DEFAULT_MODES } from '../../src/model/mesh-settings.js';
import { documentsOf, find, meshOf, type Mesh } from '../../src/model/mesh.js';
import { SERVICE_LABEL } from '../../src/model/names.js';
import type { Change } from '../../src/model/revision.js';
import { PROTOCOLS } from '../../src/model/service.js';
import { HEALTHS, portsInOrder } from '../../src/model/workload.js';

const namespace = fc.constantFrom('shop', 'front');
const name = fc.constantFrom('cart', 'cart-v1', 'cart-v2', 'web', 'job');
const label = fc.record(
  { [SERVICE_LABEL]: name, version: fc.constantFrom('v1', 'v2'), app: name },
  { requiredKeys: [] },
);
const selector = label.filter((labels) => Object.keys(labels).length > 0);
const port = fc.constantFrom(80, 8080, 9000);
const portName = fc.constantFrom('http', 'admin');
const identity = fc.tuple(namespace, name).map(([ns, account]) => `spiffe://sluice.local/ns/${ns}/sa/${account}`);

const serviceSpec = fc.record(
  {
    selector,
    ports: fc.uniqueArray(
      fc.record(
        { port, targetPort: fc.oneof(port, portName), protocol: fc.constantFrom(...PROTOCOLS) },
        { requiredKeys: ['port', 'protocol'] },
      ),
      { minLength: 1, selector: (one) => one.port },
    ),
  },
  { requiredKeys: ['ports'] },
);
const workloadSpec = fc.record(
  {
    address: fc.constantFrom('127.0.0.1', '10.0.0.1', 'fd00::1'),
    ports: fc
      .uniqueArray(fc.record({ name: portName, port, sidecarPort: port }, { requiredKeys: ['port'] }), {
        selector: (one) => one.port,
      })
      .map(portsInOrder),
    identity,
    health: fc.constantFrom(...HEALTHS),
  },
  { requiredKeys: ['address', 'ports', 'health'] },
);
const splitSpec = fc.record({
  service: name,
  backends: fc.array(fc.record({ service: name, weight: fc.integer({ min: 0, max: 1_000_000 }) }), {
    minLength: 1,
    maxLength: 4,
  }),
});
const source = fc.oneof(
  fc.record({ identity: fc.oneof(identity, fc.constant('spiffe://sluice.local/ns/shop/*')) }),
  fc.record({ namespace }),
  fc.record({ anyone: fc.constantFrom(...ANYONE) }),
);
const operation = fc.record(
  {
    methods: fc.array(fc.constantFrom('GET', 'POST'), { minLength: 1 }),
    paths: fc.array(fc.constantFrom('/', '/items/*', '/a!b'), { minLength: 1 }),
    ports: fc.uniqueArray(port, { minLength: 1 }),
  },
  { requiredKeys: [] },
);
const policySpec = fc.record({
  target: fc.oneof(
    fc.record({ service: name }),
    fc.record({ labels: selector }),
    fc.record({ scope: fc.constantFrom(...SCOPES) }),
  ),
  action: fc.constantFrom(...ACTIONS),
  mode: fc.constantFrom(...MODES),
  rules: fc.array(
    fc.record(
      {
        from: fc.array(source, { minLength: 1, maxLength: 3 }),
        to: fc.array(operation, { minLength: 1, maxLength: 2 }),
      },
      { requiredKeys: ['from'] },
    ),
    { minLength: 1, maxLength: 3 },
  ),
});
const settingsSpec = fc.record({
  defaultMode: fc.constantFrom(...DEFAULT_MODES),
  clusterNetworks: fc.subarray(['10.0.0.0/8', 'fd00::/8', '127.0.0.0/8']),
});

const document = (kind: Kind, spec: fc.Arbitrary<unknown>): fc.Arbitrary<Document> =>
  fc
    .record({ namespace, name, labels: label, age: fc.integer({ min: 0, max: 3 }), byHand: fc.boolean(), spec })
    .map(({ age, byHand, spec: written, ...place }) => ({
      kind,
      metadata: {
        ...(kind === 'MeshSettings'
          ? { namespace: '', name: 'mesh' }
          : { namespace: place.namespace, name: place.name }),
        labels: place.labels,
        annotations: {},
        origin: kind === 'Workload' && 'identity' in (written as object) && !byHand ? 'sidecar' : 'rest',
        revision: 1,
        createdAt: new Date(age).toISOString(),
        updatedAt: new Date(age).toISOString(),
      },
      spec: written,
    }));

const anyDocument = fc.oneof(
  { weight: 3, arbitrary: document('Service', serviceSpec) },
  { weight: 4, arbitrary: document('Workload', workloadSpec) },
  { weight: 2, arbitrary: document('TrafficSplit', splitSpec) },
  { weight: 2, arbitrary: document('AuthorizationPolicy', policySpec) },
  { weight: 1, arbitrary: document('MeshSettings', settingsSpec) },
);

export const anyMesh: fc.Arbitrary<Mesh> = fc
  .array(anyDocument, { maxLength: 25 })
  .map((documents) => meshOf('sluice.local', documents));

/** The same objects in one namespace, where they have more to do with each other. */
export const crowded = (mesh: Mesh): Mesh =>
  meshOf(
    mesh.trustDomain,
    [...documentsOf(mesh)].map((document) =>
      document.kind === 'MeshSettings'
        ? document
        : { ...document, metadata: { ...document.metadata, namespace: 'shop' } },
    ),
  );

/** Objects that somebody puts, and names of objects that somebody takes out whether they are there or not. */
export interface Edit {
  readonly put: readonly Document[];
  readonly remove: readonly Ref[];
}

export const anyEdit: fc.Arbitrary<Edit> = fc.record({
  put: fc.array(anyDocument, { maxLength: 3 }),
  remove: fc.array(anyDocument, { maxLength: 3 }).map((documents) => documents.map(refOf)),
});

/** What `edit` changes in `mesh`, each object at most once, as a revision would say it. */
export function changesOf(mesh: Mesh, { put, remove }: Edit): Change[] {
  const removed = remove.map((ref): Change => ({ ref }));
  const written = put.map((after): Change => ({ ref: refOf(after), after }));
  const last = new Map([...removed, ...written].map((change) => [printRef(change.ref), change]));
  return [...last.values()].flatMap(({ ref, after }) => {
    const before = find(mesh, ref);
    return before || after ? [{ ref, ...(before && { before }), ...(after && { after }) }] : [];
  });
}

/** The same mesh, its objects written in another order. */
export function shuffled(mesh: Mesh, seed: number): Mesh {
  const documents = [...documentsOf(mesh)];
  const order = (document: Document): number =>
    [...JSON.stringify(document.metadata)].reduce(
      (hash, letter) => (Math.imul(hash, 31) + letter.charCodeAt(0)) | 0,
      seed,
    );
  return meshOf(
    mesh.trustDomain,
    documents.sort((a, b) => order(a) - order(b)),
  );
}
