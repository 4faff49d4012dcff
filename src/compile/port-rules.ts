/** What policies say of one port of a workload: rules may speak of some ports alone. Pure. */
import type { AuthorizationPolicy, Rule } from '../model/authorization-policy.js';

const known = new WeakMap<AuthorizationPolicy, ReadonlySet<number>>();

/** One for all: hardly any policy speaks of ports, and there are thousands. */
const NONE: ReadonlySet<number> = new Set();

/** The ports that `policy` speaks of in particular. */
export function portsNamed(policy: AuthorizationPolicy): ReadonlySet<number> {
  const found = known.get(policy);
  if (found) return found;
  const ports = new Set(policy.spec.rules.flatMap(({ to = [] }) => to.flatMap((operation) => operation.ports ?? [])));
  known.set(policy, ports.size > 0 ? ports : NONE);
  return ports;
}

/** A port that some rule speaks of in particular; undefined stands for all others, which are guarded alike. */
export type PortApart = number | undefined;

const knownOfAll = new WeakMap<readonly AuthorizationPolicy[], readonly number[]>();

/** `port` as `policies` see it. Workloads that are protected alike have the same list (see `Alike`), which is looked into once. */
export function portApart(port: PortApart, policies: readonly AuthorizationPolicy[]): PortApart {
  let ports = knownOfAll.get(policies);
  if (!ports) {
    ports = policies.flatMap((policy) => [...portsNamed(policy)]);
    knownOfAll.set(policies, ports);
  }
  return port !== undefined && ports.includes(port) ? port : undefined;
}

/** `rule` as far as it speaks of `port`; undefined when it speaks of other ports alone, or of nothing (see `bytes-rules`). */
export function ruleAt(rule: Rule, port: PortApart): Rule | undefined {
  if (rule.to?.length === 0) return undefined;
  const to = rule.to?.filter(({ ports }) => !ports || (port !== undefined && ports.includes(port)));
  if (to?.length === rule.to?.length) return rule;
  return to && to.length > 0 ? { ...rule, to } : undefined;
}

/** The rules of `policy` that speak of `port`. */
export const rulesAt = ({ spec }: AuthorizationPolicy, port: PortApart): Rule[] =>
  spec.rules.flatMap((rule) => ruleAt(rule, port) ?? []);
