/** Several values under one key; a key without values takes no room. */

export class Multimap<K, V> {
  private readonly sets = new Map<K, Set<V>>();

  get(key: K): ReadonlySet<V> {
    return this.sets.get(key) ?? NOTHING;
  }

  add(key: K, value: V): void {
    const values = this.sets.get(key);
    if (values) values.add(value);
    else this.sets.set(key, new Set([value]));
  }

  delete(key: K, value: V): void {
    const values = this.sets.get(key);
    if (values?.delete(value) && values.size === 0) this.sets.delete(key);
  }
}

const NOTHING: ReadonlySet<never> = new Set();
