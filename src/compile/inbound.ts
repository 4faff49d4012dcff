/** What guards a port of a workload: who may connect, and what of theirs reaches its program: requests, or bytes. */
import { envoy } from '../proto/messages.js';
import type { Action, AuthorizationPolicy, Mode } from '../model/authorization-policy.js';
import { keyOf } from '../model/document.js';
import type { MeshSettings, MeshSettingsSpec } from '../model/mesh-settings.js';
import type { Service } from '../model/service.js';
import { reachedAt, type Workload, type WorkloadPort } from '../model/workload.js';
import { allForBytes } from './bytes-rules.js';
import { encode } from './encoding.js';
import { PATHS_NORMALISED, httpConnectionManager, httpFilters } from './http.js';
import { portApart, rulesAt, type PortApart } from './port-rules.js';
import { defaultRules, httpFilter, networkFilter, rulesOf, type Judging, type NamedRule } from './rbac.js';
import { inboundName } from './resource-names.js';
import { TYPES, recipe, type Recipe } from './resource.js';
import { tcpProxy } from './tcp.js';
import { TLS_INSPECTOR, downstreamTls } from './tls.js';

const { Listener } = envoy.config.listener.v3;
const { TrafficDirection } = envoy.config.core.v3;

/** A port of a workload with all that decides who may call it. */
export interface Inbound {
  readonly workload: Workload;
  readonly port: WorkloadPort;
  /** The services by whose word bytes pass there, into which nobody looks; none: requests do. */
  readonly forBytes: readonly Service[];
  /** The policies that protect it, by key. */
  readonly policies: readonly AuthorizationPolicy[];
  readonly settings: MeshSettingsSpec;
  /** The object that says so, if there is one. */
  readonly written?: MeshSettings;
  readonly trustDomain: string;
}

export function inboundRecipe(inbound: Inbound): Recipe {
  const { workload, port, forBytes, policies, settings, written, trustDomain } = inbound;
  const bytes = forBytes.length > 0;
  const read = bytes ? allForBytes(policies) : policies;
  return recipe(
    TYPES.listener,
    inboundName(keyOf(workload.metadata), port.port),
    [workload.spec.address, reachedAt(port), bytes, portApart(port.port, read), read, settings, trustDomain],
    [workload, ...policies, ...(written && !policies.some(closes) ? [written] : []), ...forBytes],
    inboundListener,
    [],
  );
}

function inboundListener(
  name: string,
  address: string,
  reached: number,
  bytes: boolean,
  port: PortApart,
  policies: readonly AuthorizationPolicy[],
  settings: MeshSettingsSpec,
  trustDomain: string,
): Uint8Array {
  const guard = guardOf(policies, port, settings, trustDomain);
  const filters = bytes
    ? [...connectionFilters(guard), tcpProxy(name, { cluster: name })]
    : [requestFilter(name, guard)];
  const mutualTls = {
    name: 'mtls',
    filter_chain_match: { transport_protocol: 'tls' },
    transport_socket: DOWNSTREAM_TLS,
    filters,
  };
  const plaintext = { name: 'plaintext', filter_chain_match: { transport_protocol: 'raw_buffer' }, filters };
  return encode(Listener, {
    name,
    address: { socket_address: { address, port_value: reached } },
    traffic_direction: TrafficDirection.INBOUND,
    listener_filters: [TLS_INSPECTOR],
    filter_chains: guard.admitsPlaintext ? [mutualTls, plaintext] : [mutualTls],
  });
}

const DOWNSTREAM_TLS = downstreamTls();

/** What a list of policies makes of a listener, whosever it is, at one port or at all that no rule speaks of. */
interface Guard {
  readonly judging: readonly Judging[];
  readonly readsPaths: boolean;
  readonly admitsPlaintext: boolean;
  /** Its filters, as soon as somebody has needed them: most ports are of one kind. */
  ofRequests?: Uint8Array;
  ofConnections?: readonly envoy.config.listener.v3.IFilter[];
}

/** Every request is judged. */
function requestFilter(name: string, guard: Guard): envoy.config.listener.v3.IFilter {
  guard.ofRequests ??= httpFilters(guard.judging.map(httpFilter));
  const routes = [{ name, match: { prefix: '/' }, non_forwarding_action: {} }];
  const manager = httpConnectionManager(
    { stat_prefix: name, route_config: { virtual_hosts: [{ name, domains: ['*'], routes }] } },
    guard.ofRequests,
    guard.readsPaths ? PATHS_NORMALISED : undefined,
  );
  return { name: 'envoy.filters.network.http_connection_manager', typed_config: manager };
}

/** Who connects is judged, and nothing after that. */
const connectionFilters = (guard: Guard) => (guard.ofConnections ??= guard.judging.map(networkFilter));

/** Workloads that are protected alike have the same list (see `Alike`). */
const known = new WeakMap<
  readonly AuthorizationPolicy[],
  { readonly guards: Map<PortApart, Guard>; readonly settings: MeshSettingsSpec; readonly trustDomain: string }
>();

function guardOf(
  policies: readonly AuthorizationPolicy[],
  port: PortApart,
  settings: MeshSettingsSpec,
  trustDomain: string,
): Guard {
  let found = known.get(policies);
  if (found?.settings !== settings || found.trustDomain !== trustDomain) {
    found = { guards: new Map(), settings, trustDomain };
    known.set(policies, found);
  }
  const { guards } = found;
  const guard = guards.get(port) ?? {
    judging: judgingOf(policies, port, settings, trustDomain),
    readsPaths: policies.some((policy) => readsPaths(policy, port)),
    admitsPlaintext: admitsPlaintext(policies, port, settings),
  };
  guards.set(port, guard);
  return guard;
}

const readsPaths = (policy: AuthorizationPolicy, port: PortApart): boolean =>
  rulesAt(policy, port).some(({ to }) => to?.some(({ paths }) => paths !== undefined));

/** A workload that such a policy protects is closed to all that none of them names; the default mode says nothing then. */
const closes = ({ spec }: AuthorizationPolicy): boolean => spec.action === 'Allow' && spec.mode === 'Enforce';

/** A plaintext caller is worth listening to only if some enforced rule could ever let one pass. */
function admitsPlaintext(
  policies: readonly AuthorizationPolicy[],
  port: PortApart,
  { defaultMode }: MeshSettingsSpec,
): boolean {
  const allows = policies.filter(closes);
  if (allows.length === 0) return ['audit', 'all-unauthenticated', 'cluster-unauthenticated'].includes(defaultMode);
  return allows.some((policy) =>
    rulesAt(policy, port).some(({ from }) => from.some((source) => 'anyone' in source && source.anyone === 'Everyone')),
  );
}

/**
 * Any matching deny wins. A workload that some enforced Allow policy protects is closed to all that none of them
 * names; otherwise the default mode decides. What is audited is what would be enforced if the Audit policies were.
 */
function judgingOf(
  policies: readonly AuthorizationPolicy[],
  port: PortApart,
  settings: MeshSettingsSpec,
  trustDomain: string,
): Judging[] {
  const chosen = (action: Action, mode: Mode): readonly NamedRule[] | undefined => {
    const all = policies.filter(({ spec }) => spec.action === action && spec.mode === mode);
    return all.length > 0 ? all.flatMap((policy) => rulesOf(policy, port, trustDomain)) : undefined;
  };
  // To deny nothing at this port is as if nothing were denied; an Allow that names nobody here closes it all the same.
  const denied = someOf(chosen('Deny', 'Enforce'));
  const deniedInAudit = someOf(chosen('Deny', 'Audit'));
  const allowed = chosen('Allow', 'Enforce');
  const allowedInAudit = chosen('Allow', 'Audit') ?? (!allowed && settings.defaultMode === 'audit' ? [] : undefined);
  return [
    ...(denied || deniedInAudit
      ? [
          {
            action: 'DENY' as const,
            ...(denied && { enforced: denied }),
            ...(deniedInAudit && { audited: deniedInAudit }),
          },
        ]
      : []),
    {
      action: 'ALLOW',
      enforced: allowed ?? defaultRules(settings),
      ...(allowedInAudit && { audited: [...(allowed ?? []), ...allowedInAudit] }),
    },
  ];
}

const someOf = (rules: readonly NamedRule[] | undefined): readonly NamedRule[] | undefined =>
  rules && rules.length > 0 ? rules : undefined;
