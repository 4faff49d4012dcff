/** Documents as tests write them, in namespace `shop` unless they say otherwise. */
import type { Document } from '../../src/model/document.js';
import type { Kind } from '../../src/model/kinds.js';
import { SERVICE_LABEL } from '../../src/model/names.js';

const document = (kind: Kind, name: string, spec: object, labels = {}): Document => ({
  kind,
  metadata: {
    name,
    namespace: 'shop',
    labels,
    annotations: {},
    origin: 'rest',
    revision: 0,
    createdAt: '',
    updatedAt: '',
  },
  spec,
});

export const aService = (name: string, ...ports: readonly number[]): Document =>
  document('Service', name, { ports: (ports.length > 0 ? ports : [80]).map((port) => ({ port, protocol: 'HTTP' })) });

export const aSplit = (name: string, service: string, weights: Readonly<Record<string, number>>): Document => ({
  ...document('TrafficSplit', name, {
    service,
    backends: Object.entries(weights).map(([backend, weight]) => ({ service: backend, weight })),
  }),
});

/** A workload of a service of its own name, with an identity, or with another address. */
export const aWorkload = (name: string, address = '127.0.0.1', service = name): Document =>
  document(
    'Workload',
    name,
    { address, ports: [{ port: 9_000 }], identity: `spiffe://sluice.local/ns/shop/sa/${name}`, health: 'Healthy' },
    { [SERVICE_LABEL]: service },
  );

export const aPolicy = (name: string, service: string, namespace = 'shop'): Document =>
  document('AuthorizationPolicy', name, {
    target: { service },
    action: 'Allow',
    mode: 'Enforce',
    rules: [{ from: [{ namespace }] }],
  });

/** What puts documents in place. */
export const putting = (...put: readonly Document[]) => ({ put, remove: [] });

/** What takes objects out. */
export const removing = (...documents: readonly Document[]) => ({
  put: [],
  remove: documents.map(({ kind, metadata: { namespace, name } }) => ({ kind, namespace, name })),
});
