/** Authorization rules in xDS words: who is a principal, what is a permission. */
import { envoy, type google } from '../proto/messages.js';
import {
  parseIdentityPattern,
  parsePathPattern,
  type Operation,
  type Rule,
  type Source,
} from '../model/authorization-policy.js';
import type { DefaultMode, MeshSettingsSpec } from '../model/mesh-settings.js';
import { any } from './resource.js';
import { defaultRuleName } from './resource-names.js';

const { RBAC: Filter } = envoy.extensions.filters.http.rbac.v3;
const { Action } = envoy.config.rbac.v3.RBAC;

export type XdsPolicy = envoy.config.rbac.v3.IPolicy;
type Principal = envoy.config.rbac.v3.IPrincipal;
type Permission = envoy.config.rbac.v3.IPermission;

/** Rules by the name that a verdict gives. */
export type NamedRules = Readonly<Record<string, XdsPolicy>>;

/** What decides, and what is only counted. Absent rules are not evaluated; present but empty ones match nothing. */
export interface Rules {
  readonly enforced?: NamedRules;
  readonly audited?: NamedRules;
}

/** A filter that turns away what some rule matches (Deny), or what no rule matches (Allow). */
export function rbacFilter(
  action: 'ALLOW' | 'DENY',
  { enforced, audited }: Rules,
): envoy.extensions.filters.network.http_connection_manager.v3.IHttpFilter {
  const rulesOf = (policies: NamedRules) => ({ action: Action[action], policies: sorted(policies) });
  const typed_config: google.protobuf.IAny = any(Filter, {
    ...(enforced ? { rules: rulesOf(enforced) } : {}),
    ...(audited ? { shadow_rules: rulesOf(audited) } : {}),
  });
  return { name: `envoy.filters.http.rbac.${action.toLowerCase()}`, typed_config };
}

/** A map is written in the order of its keys, or the same mesh would not give the same bytes. */
const sorted = (policies: NamedRules): Record<string, XdsPolicy> =>
  Object.fromEntries(Object.entries(policies).sort(([a], [b]) => (a < b ? -1 : 1)));

/** A rule that somebody wrote. */
export const xdsPolicy = (rule: Rule, trustDomain: string): XdsPolicy => ({
  principals: rule.from.map((source) => principalOf(source, trustDomain)),
  permissions: rule.to ? rule.to.map(permissionOf) : [{ any: true }],
});

/** What the default mode lets pass, as a rule; nothing for `deny`. */
export function defaultRules({ defaultMode, clusterNetworks }: MeshSettingsSpec): NamedRules {
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
    ? {}
    : { [defaultRuleName(defaultMode)]: { principals: principals[defaultMode], permissions: [{ any: true }] } };
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
  return rules.length === 1 && rules[0] ? rules[0] : { and_rules: { rules } };
}

const anyOf = (rules: Permission[]): Permission =>
  rules.length === 1 && rules[0] ? rules[0] : { or_rules: { rules } };
