/** What is wrong with a policy beyond the form of its fields. */
import type { Context } from '../api/document-door.js';
import { pointer, type Fault } from '../model/fault.js';
import type { AuthorizationPolicySpecDto } from './authorization-policy.dto.js';

/** An identity of another trust domain can never call here: a rule that names one names nobody. */
export function policyFaults({ rules }: Partial<AuthorizationPolicySpecDto>, { trustDomain }: Context): Fault[] {
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
