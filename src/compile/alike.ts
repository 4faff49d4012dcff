/** One list for all that are protected by the same policies, so that what is made of it is made once. */
import type { AuthorizationPolicy } from '../model/authorization-policy.js';
import { keyOf } from '../model/document.js';
import { byName } from '../model/names.js';

type List = readonly AuthorizationPolicy[];

/** So many keys of lists are kept before it is looked for the first time whether there still are such lists. */
const LEAST_SWEPT = 1_024;

export class Alike {
  private readonly numbers = new WeakMap<AuthorizationPolicy, number>();
  /** Held by whatever is made of them: a list that nothing in force is made of goes, and all that was made of it with it. */
  private readonly lists = new Map<string, WeakRef<List>>();
  private last = 0;
  /** With so many keys, those of lists that are gone are swept out. */
  private sweepAt = LEAST_SWEPT;

  /** The one list of `policies`, which are all different, in order of their keys. */
  of(policies: Iterable<AuthorizationPolicy>): List {
    const numbers: number[] = [];
    for (const policy of policies) numbers.push(this.numberOf(policy));
    const which = numbers.sort((a, b) => a - b).join(' ');
    const known = this.lists.get(which)?.deref();
    if (known) return known;
    if (this.lists.size >= this.sweepAt) this.sweep();
    const list = [...policies].sort((a, b) => byName(keyOf(a.metadata), keyOf(b.metadata)));
    this.lists.set(which, new WeakRef(list));
    return list;
  }

  private sweep(): void {
    for (const [which, list] of this.lists) if (!list.deref()) this.lists.delete(which);
    this.sweepAt = Math.max(LEAST_SWEPT, 2 * this.lists.size);
  }

  private numberOf(policy: AuthorizationPolicy): number {
    const known = this.numbers.get(policy);
    if (known !== undefined) return known;
    this.last += 1;
    this.numbers.set(policy, this.last);
    return this.last;
  }
}
