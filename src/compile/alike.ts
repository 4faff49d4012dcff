/** One list for all that are protected by the same policies, so that what is made of it is made once. */
import type { AuthorizationPolicy } from '../model/authorization-policy.js';
import { keyOf } from '../model/document.js';
import { byName } from '../model/names.js';

/** More lists than this are not remembered; forgetting them costs time and nothing else. */
const MAX_LISTS = 32_768;

export class Alike {
  private readonly numbers = new WeakMap<AuthorizationPolicy, number>();
  private readonly lists = new Map<string, readonly AuthorizationPolicy[]>();
  private last = 0;

  /** The one list of `policies`, which are all different, in order of their keys. */
  of(policies: Iterable<AuthorizationPolicy>): readonly AuthorizationPolicy[] {
    const numbers: number[] = [];
    for (const policy of policies) numbers.push(this.numberOf(policy));
    const which = numbers.sort((a, b) => a - b).join(' ');
    const known = this.lists.get(which);
    if (known) return known;
    if (this.lists.size >= MAX_LISTS) this.lists.clear();
    const list = [...policies].sort((a, b) => byName(keyOf(a.metadata), keyOf(b.metadata)));
    this.lists.set(which, list);
    return list;
  }

  private numberOf(policy: AuthorizationPolicy): number {
    const known = this.numbers.get(policy);
    if (known !== undefined) return known;
    this.last += 1;
    this.numbers.set(policy, this.last);
    return this.last;
  }
}
