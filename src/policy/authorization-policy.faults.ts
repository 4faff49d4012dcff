/** What is wrong with a policy beyond the form of its fields. */
import type { Context } from '../api/document-door.js';
import { pointer, type Fault } from '../model/fault.js';
import type { AuthorizationPolicySpecDto } from './authorization-policy.dto.js';

export const policyFaults = (spec: Partial<AuthorizationPolicySpecDto>, context: Context): Fault[] => [
  ...emptyFaults(spec),
  ...strangerFaults(spec, context),
  ...weightFaults(spec),
];

/** What the rules of a policy may weigh as JSON, in bytes: every workload that it protects gets a copy of them. */
const MAX_WEIGHT = 64 * 1_024;

function weightFaults({ rules }: Partial<AuthorizationPolicySpecDto>): Fault[] {
  const weight = Buffer.byteLength(JSON.stringify(rules ?? []));
  if (weight <= MAX_WEIGHT) return [];
  const detail =
    `rules weigh ${weight} bytes as JSON, of which every workload gets a copy, and ${MAX_WEIGHT} are the most; name namespaces` +
    ' or patterns instead of single callers, or divide the policy by what it protects';
  return [{ pointer: pointer('spec', 'rules'), detail }];
}

/** Allow without a rule closes what it protects. Deny without one would do nothing, and whoever wrote it meant something. */
function emptyFaults({ action, rules }: Partial<AuthorizationPolicySpecDto>): Fault[] {
  if (action !== 'Deny' || !Array.isArray(rules) || rules.length > 0) return [];
  const detail =
    'rules must contain at least one rule when the action is Deny; to close a service to everybody, use Allow without rules';
  return [{ pointer: pointer('spec', 'rules'), detail }];
}

/** An identity of another trust domain can never call here: a rule that names one names nobody. */
function strangerFaults({ rules }: Partial<AuthorizationPolicySpecDto>, { trustDomain }: Context): Fault[] {
  return listOf(rules).flatMap((rule, ruleIndex) =>
    listOf(rule?.from).flatMap((source, index): Fault[] => {
      const [, domain = trustDomain] = /^spiffe:\/\/([^/]+)\//.exec(String(source?.identity ?? '')) ?? [];
      if (domain === trustDomain) return [];
      const at = pointer('spec', 'rules', ruleIndex, 'from', index, 'identity');
      return [
        { pointer: at, detail: `the trust domain of this mesh is "${trustDomain}"; "${domain}" names nobody in it` },
      ];
    }),
  );
}

/** The faults of the form are found elsewhere: here, what is no list has nothing in it. */
const listOf = <Item>(value: readonly Item[] | undefined): readonly (Item | undefined)[] =>
  Array.isArray(value) ? (value as readonly Item[]) : [];
