/**
 * Policies as they hold where bytes pass, of which nobody knows a method or a path. What allows by those allows nothing there;
 * what denies by them denies whatever else it says. Pure.
 */
import type { AuthorizationPolicy, Operation, Rule } from '../model/authorization-policy.js';

/** Says whether `operation` asks about what bytes do not tell. */
const asksOfRequests = ({ methods, paths }: Operation): boolean => methods !== undefined || paths !== undefined;

const known = new WeakMap<AuthorizationPolicy, AuthorizationPolicy>();

/** `policy` for ports that carry bytes; itself where it asks of no request. */
export function forBytes(policy: AuthorizationPolicy): AuthorizationPolicy {
  const found = known.get(policy);
  if (found) return found;
  const { spec } = policy;
  const isTheSame = !spec.rules.some(({ to }) => to?.some(asksOfRequests));
  const read = spec.action === 'Allow' ? withoutRequests : whateverIsAsked;
  const made = isTheSame ? policy : { ...policy, spec: { ...spec, rules: spec.rules.map(read) } };
  known.set(policy, made);
  return made;
}

/** A rule keeps its place, and so its name, even if it means nothing any more. */
const withoutRequests = (rule: Rule): Rule =>
  rule.to ? { ...rule, to: rule.to.filter((operation) => !asksOfRequests(operation)) } : rule;

const whateverIsAsked = (rule: Rule): Rule =>
  rule.to ? { ...rule, to: rule.to.map(({ ports }) => (ports ? { ports } : {})) } : rule;

const knownLists = new WeakMap<readonly AuthorizationPolicy[], readonly AuthorizationPolicy[]>();

/** The same of a list, one for all that have the list (see `Alike`). */
export function allForBytes(policies: readonly AuthorizationPolicy[]): readonly AuthorizationPolicy[] {
  const found = knownLists.get(policies);
  if (found) return found;
  const read = policies.map(forBytes);
  const made = read.every((policy, at) => policy === policies[at]) ? policies : read;
  knownLists.set(policies, made);
  return made;
}

/** The places of the rules of `policy` that ask of requests at one of `ports`, with those of the ports. */
export const rulesAskingOfRequests = ({ spec }: AuthorizationPolicy, ports: readonly number[]) =>
  spec.rules.flatMap(({ to = [] }, index) => {
    const asking = to.filter(asksOfRequests);
    const at = ports.filter((port) => asking.some((operation) => operation.ports?.includes(port) ?? true));
    return at.length > 0 ? [{ index, ports: at }] : [];
  });

/** Says whether `policy` means another thing where bytes pass. */
export const asksOfRequestsAnywhere = (policy: AuthorizationPolicy): boolean => forBytes(policy) !== policy;
