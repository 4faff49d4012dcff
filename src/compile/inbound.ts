/** What guards a workload: who may connect, and which of their requests reach its program. */
import { envoy } from '../proto/messages.js';
import type { AuthorizationPolicy } from '../model/authorization-policy.js';
import { keyOf } from '../model/document.js';
import type { MeshSettings, MeshSettingsSpec } from '../model/mesh-settings.js';
import type { Workload } from '../model/workload.js';
import { httpConnectionManager } from './http.js';
import { defaultRules, rbacFilter, xdsPolicy, type NamedRules } from './rbac.js';
import { inboundName, ruleName } from './resource-names.js';
import { TYPES, any, encode, recipe, type Recipe } from './resource.js';
import { downstreamTls } from './tls.js';

const { Listener } = envoy.config.listener.v3;
const { TrafficDirection } = envoy.config.core.v3;
const { TlsInspector } = envoy.extensions.filters.listener.tls_inspector.v3;
const { HttpConnectionManager } = envoy.extensions.filters.network.http_connection_manager.v3;

/** A workload with all that decides who may call it. */
export interface Inbound {
  readonly workload: Workload;
  /** The policies that protect it, by key. */
  readonly policies: readonly AuthorizationPolicy[];
  readonly settings: MeshSettingsSpec;
  /** The object that says so, if there is one. */
  readonly written?: MeshSettings;
  readonly trustDomain: string;
}

export const inboundRecipe = ({ workload, policies, settings, written, trustDomain }: Inbound): Recipe =>
  recipe(
    TYPES.listener,
    inboundName(keyOf(workload.metadata)),
    [workload.spec.address, workload.spec.port ?? 0, policies, settings, trustDomain],
    [workload, ...policies, ...(written && !policies.some(closes) ? [written] : [])],
    inboundListener,
  );

function inboundListener(
  name: string,
  address: string,
  port: number,
  policies: readonly AuthorizationPolicy[],
  settings: MeshSettingsSpec,
  trustDomain: string,
): Uint8Array {
  const manager = httpConnectionManager({
    stat_prefix: name,
    ...(policies.some(readsPaths) ? NORMALISED : {}),
    route_config: {
      virtual_hosts: [{ name, domains: ['*'], routes: [{ name, match: { prefix: '/' }, non_forwarding_action: {} }] }],
    },
    http_filters: authorizationFilters(policies, settings, trustDomain),
  });
  const filters = [{ name: 'envoy.filters.network.http_connection_manager', typed_config: manager }];
  const mutualTls = {
    name: 'mtls',
    filter_chain_match: { transport_protocol: 'tls' },
    transport_socket: downstreamTls(),
    filters,
  };
  const plaintext = { name: 'plaintext', filter_chain_match: { transport_protocol: 'raw_buffer' }, filters };
  return encode(Listener, {
    name,
    address: { socket_address: { address, port_value: port } },
    traffic_direction: TrafficDirection.INBOUND,
    listener_filters: [{ name: 'envoy.filters.listener.tls_inspector', typed_config: any(TlsInspector, {}) }],
    filter_chains: admitsPlaintext(policies, settings) ? [mutualTls, plaintext] : [mutualTls],
  });
}

/** Where a rule speaks of paths, there must be one way only to write a path (and the program must see that one). */
const NORMALISED = {
  normalize_path: { value: true },
  merge_slashes: true,
  path_with_escaped_slashes_action: HttpConnectionManager.PathWithEscapedSlashesAction.REJECT_REQUEST,
};

const readsPaths = ({ spec }: AuthorizationPolicy): boolean =>
  spec.rules.some(({ to }) => to?.some(({ paths }) => paths !== undefined));

/** A workload that such a policy protects is closed to all that none of them names; the default mode says nothing then. */
const closes = ({ spec }: AuthorizationPolicy): boolean => spec.action === 'Allow' && spec.mode === 'Enforce';

/** A plaintext caller is worth listening to only if some enforced rule could ever let one pass. */
function admitsPlaintext(policies: readonly AuthorizationPolicy[], { defaultMode }: MeshSettingsSpec): boolean {
  const allows = policies.filter(closes);
  if (allows.length === 0) return ['audit', 'all-unauthenticated', 'cluster-unauthenticated'].includes(defaultMode);
  return allows.some(({ spec }) =>
    spec.rules.some(({ from }) => from.some((source) => 'anyone' in source && source.anyone === 'Everyone')),
  );
}

/**
 * Any matching deny wins. A workload that some enforced Allow policy protects is closed to all that none of them
 * names; otherwise the default mode decides. What is audited is what would be enforced if the Audit policies were.
 */
function authorizationFilters(
  policies: readonly AuthorizationPolicy[],
  settings: MeshSettingsSpec,
  trustDomain: string,
): envoy.extensions.filters.network.http_connection_manager.v3.IHttpFilter[] {
  const rulesOf = (action: string, mode: string): NamedRules | undefined => {
    const chosen = policies.filter(({ spec }) => spec.action === action && spec.mode === mode);
    const rules = chosen.flatMap(({ metadata, spec }) =>
      spec.rules.map((rule, index) => [ruleName(metadata, index), xdsPolicy(rule, trustDomain)] as const),
    );
    return chosen.length > 0 ? Object.fromEntries(rules) : undefined;
  };
  const denied = rulesOf('Deny', 'Enforce');
  const deniedInAudit = rulesOf('Deny', 'Audit');
  const allowed = rulesOf('Allow', 'Enforce');
  const allowedInAudit = rulesOf('Allow', 'Audit') ?? (!allowed && settings.defaultMode === 'audit' ? {} : undefined);
  return [
    ...(denied || deniedInAudit
      ? [rbacFilter('DENY', { ...(denied && { enforced: denied }), ...(deniedInAudit && { audited: deniedInAudit }) })]
      : []),
    rbacFilter('ALLOW', {
      enforced: allowed ?? defaultRules(settings),
      ...(allowedInAudit && { audited: { ...allowed, ...allowedInAudit } }),
    }),
  ];
}
