/** Authorization rules in xDS words: who is a principal, what is a permission. */
import { envoy } from '../proto/messages.js';
import {
  parseIdentityPattern,
  parsePathPattern,
  type AuthorizationPolicy,
  type Operation,
  type Source,
} from '../model/authorization-policy.js';
import type { DefaultMode, MeshSettingsSpec } from '../model/mesh-settings.js';
import { byName } from '../model/names.js';
import { encode, encodeApart, encodedAny, field, joined } from './encoding.js';
import { portsNamed, ruleAt, type PortApart } from './port-rules.js';
import { defaultRuleName, ruleName } from './resource-names.js';

const { RBAC: HttpFilter } = envoy.extensions.filters.http.rbac.v3;
const { RBAC: NetworkFilter } = envoy.extensions.filters.network.rbac.v3;
const { RBAC: Rbac } = envoy.config.rbac.v3;

type XdsPolicy = envoy.config.rbac.v3.IPolicy;
type Principal = envoy.config.rbac.v3.IPrincipal;
type Permission = envoy.config.rbac.v3.IPermission;

/** A rule by the name that a verdict gives, encoded as it stands in the map of rules. */
export interface NamedRule {
  readonly name: string;
  readonly entry: Uint8Array;
}

/** What decides, and what is only counted. Absent rules are not evaluated; present but empty ones match nothing. */
export interface Rules {
  readonly enforced?: readonly NamedRule[];
  readonly audited?: readonly NamedRule[];
}

/** A filter that turns away what some rule matches (Deny), or what no rule matches (Allow). */
export interface Judging extends Rules {
  readonly action: 'ALLOW' | 'DENY';
}

/** It as one of requests. */
export const httpFilter = (
  judging: Judging,
): envoy.extensions.filters.network.http_connection_manager.v3.IHttpFilter => ({
  name: `envoy.filters.http.rbac.${judging.action.toLowerCase()}`,
  typed_config: encodedAny(HttpFilter, rulesOfFilter(judging)),
});

/** It as one of connections. */
export const networkFilter = (judging: Judging): envoy.config.listener.v3.IFilter => {
  const stat_prefix = judging.action.toLowerCase();
  const filter = joined(rulesOfFilter(judging), encode(NetworkFilter, { stat_prefix }));
  return { name: `envoy.filters.network.rbac.${stat_prefix}`, typed_config: encodedAny(NetworkFilter, filter) };
};

/** The fields that both kinds of filter have alike. */
function rulesOfFilter({ action, enforced, audited }: Judging): Uint8Array {
  const head = encode(Rbac, { action: Rbac.Action[action] });
  const rulesOf = (rules: readonly NamedRule[]): Uint8Array => joined(head, ...sorted(rules).map(({ entry }) => entry));
  return joined(
    ...(enforced ? [field(RULES, rulesOf(enforced))] : []),
    ...(audited ? [field(SHADOW_RULES, rulesOf(audited))] : []),
  );
}

/** The numbers of their fields. */
const RULES = 1;
const SHADOW_RULES = 2;

/** A map is written in the order of its keys, or the same mesh would not give the same bytes. */
const sorted = (rules: readonly NamedRule[]): NamedRule[] => [...rules].sort((a, b) => byName(a.name, b.name));

/** A policy's rules are the same for all that it protects, and at all ports of which it does not speak in particular. */
const known = new WeakMap<
  AuthorizationPolicy,
  { readonly trustDomain: string; readonly rules: Map<PortApart, readonly NamedRule[]> }
>();

/** The rules of a policy as far as they speak of `port`. */
export function rulesOf(policy: AuthorizationPolicy, port: PortApart, trustDomain: string): readonly NamedRule[] {
  let found = known.get(policy);
  if (found?.trustDomain !== trustDomain) {
    found = { trustDomain, rules: new Map() };
    known.set(policy, found);
  }
  const apart = port !== undefined && portsNamed(policy).has(port) ? port : undefined;
  const rules = found.rules.get(apart) ?? namedRules(policy, apart, trustDomain);
  found.rules.set(apart, rules);
  return rules;
}

function namedRules(policy: AuthorizationPolicy, port: PortApart, trustDomain: string): readonly NamedRule[] {
  const rules = policy.spec.rules.flatMap((rule, index) => {
    const here = ruleAt(rule, port);
    if (!here) return [];
    return named(ruleName(policy.metadata, index), {
      principals: here.from.map((source) => principalOf(source, trustDomain)),
      permissions: here.to ? here.to.map(permissionOf) : [{ any: true }],
    });
  });
  const closesAlone = rules.length === 0 && policy.spec.action === 'Allow';
  return closesAlone ? [named(ruleName(policy.metadata, 0), NEVER)] : rules;
}

/** Matches nothing: a verdict that nothing allows names the policy that closes all the same. */
const NEVER: XdsPolicy = { principals: [{ any: true }], permissions: [{ not_rule: { any: true } }] };

const named = (name: string, policy: XdsPolicy): NamedRule => ({
  name,
  entry: encodeApart(Rbac, { policies: { [name]: policy } }),
});

/** What the default mode lets pass, as a rule; nothing for `deny`. */
export function defaultRules({ defaultMode, clusterNetworks }: MeshSettingsSpec): NamedRule[] {
  const fromCluster: Principal[] = clusterNetworks.map((cidr) => {
    const [address_prefix = '', length] = cidr.split('/');
    return { direct_remote_ip: { address_prefix, prefix_len: { value: Number(length) } } };
  });
  const principals: Record<DefaultMode, Principal[]> = {
    deny: [],
    audit: [{ any: true }],
    'all-authenticated': [{ authenticated: {} }],
    'all-unauthenticated': [{ any: true }],
    'cluster-authenticated': fromCluster.map((network) => ({ and_ids: { ids: [{ authenticated: {} }, network] } })),
    'cluster-unauthenticated': fromCluster,
  };
  return principals[defaultMode].length === 0
    ? []
    : [named(defaultRuleName(defaultMode), { principals: principals[defaultMode], permissions: [{ any: true }] })];
}

function principalOf(source: Source, trustDomain: string): Principal {
  if ('namespace' in source) {
    return { authenticated: { principal_name: { prefix: `spiffe://${trustDomain}/ns/${source.namespace}/` } } };
  }
  if ('anyone' in source) return source.anyone === 'Everyone' ? { any: true } : { authenticated: {} };
  const pattern = parseIdentityPattern(source.identity);
  // Checked at the door. Should one slip through, it must not come to name everybody.
  return pattern ? { authenticated: { principal_name: pattern } } : { not_id: { any: true } };
}

function permissionOf({ methods, paths }: Operation): Permission {
  const methodRules = methods?.map((exact): Permission => ({
    header: { name: ':method', string_match: { exact } },
  }));
  const pathRules = paths?.map((path): Permission => {
    const pattern = parsePathPattern(path);
    return pattern ? { url_path: { path: pattern } } : { not_rule: { any: true } };
  });
  const rules = [methodRules, pathRules].flatMap((oneOf) => (oneOf ? [anyOf(oneOf)] : []));
  if (rules.length === 0) return { any: true };
  return rules.length === 1 && rules[0] ? rules[0] : { and_rules: { rules } };
}

const anyOf = (rules: Permission[]): Permission =>
  rules.length === 1 && rules[0] ? rules[0] : { or_rules: { rules } };
