/** Objects of a mesh in few words, for tests that say what matters of them and nothing else. */
import type { AuthorizationPolicy, AuthorizationPolicySpec } from '../../src/model/authorization-policy.js';
import type { Document, Metadata } from '../../src/model/document.js';
import type { Kind } from '../../src/model/kinds.js';
import type { MeshSettings, MeshSettingsSpec } from '../../src/model/mesh-settings.js';
import { INITIAL_SETTINGS } from '../../src/model/mesh-settings.js';
import { SERVICE_LABEL, spiffeId, type Labels } from '../../src/model/names.js';
import type { Service, ServiceSpec } from '../../src/model/service.js';
import type { TrafficSplit } from '../../src/model/traffic-split.js';
import type { Workload, WorkloadSpec } from '../../src/model/workload.js';

export const TRUST_DOMAIN = 'sluice.local';

export const anIdentity = (account: string, namespace = 'shop') =>
  spiffeId({ trustDomain: TRUST_DOMAIN, namespace, account });

const metadata = (kind: Kind, name: string, labels: Labels = {}, age = 0): Metadata => ({
  name,
  namespace: kind === 'MeshSettings' ? '' : 'shop',
  labels,
  annotations: {},
  origin: 'rest',
  revision: 1,
  createdAt: new Date(age).toISOString(),
  updatedAt: new Date(age).toISOString(),
});

const document = <K extends Kind, Spec>(kind: K, meta: Metadata, spec: Spec): Document<K, Spec> => ({
  kind,
  metadata: meta,
  spec,
});

export const aService = (name: string, spec: Partial<ServiceSpec> = {}): Service =>
  document('Service', metadata('Service', name), { ports: [{ port: 80, protocol: 'HTTP' }], ...spec });

/** A workload with a sidecar; behind the service `service`, if one is named, and otherwise as its labels say. */
export function aWorkload(
  name: string,
  { service, labels = {}, bare = false }: { service?: string; labels?: Labels; bare?: boolean } = {},
  spec: Partial<WorkloadSpec> = {},
): Workload {
  const all = service === undefined ? labels : { [SERVICE_LABEL]: service, ...labels };
  const origin = bare ? 'rest' : 'sidecar';
  return document(
    'Workload',
    { ...metadata('Workload', name, all), origin },
    {
      address: '127.0.0.1',
      ports: [{ port: 9000 }],
      health: 'Healthy',
      ...(bare ? {} : { identity: anIdentity(name) }),
      ...spec,
    },
  );
}

export const aSplit = (
  name: string,
  service: string,
  weights: Readonly<Record<string, number>>,
  age = 0,
): TrafficSplit =>
  document('TrafficSplit', metadata('TrafficSplit', name, {}, age), {
    service,
    backends: Object.entries(weights).map(([backend, weight]) => ({ service: backend, weight })),
  });

export const aPolicy = (name: string, spec: Partial<AuthorizationPolicySpec> = {}): AuthorizationPolicy =>
  document('AuthorizationPolicy', metadata('AuthorizationPolicy', name), {
    target: { scope: 'Namespace' },
    action: 'Allow',
    mode: 'Enforce',
    rules: [{ from: [{ anyone: 'Authenticated' }] }],
    ...spec,
  });

export const someSettings = (spec: Partial<MeshSettingsSpec>): MeshSettings =>
  document('MeshSettings', metadata('MeshSettings', 'mesh'), { ...INITIAL_SETTINGS, ...spec });
