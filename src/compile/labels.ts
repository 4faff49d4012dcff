/**
 * Who is selected, and who selects, without looking at everybody. Both indexes answer with candidates, among which all
 * that is looked for is found: whether labels really match is for `selects` to say.
 */
import type { Labels } from '../model/names.js';
import { Multimap } from './multimap.js';

/** Keys of objects in a namespace with labels. */
export interface Place {
  readonly namespace: string;
  readonly labels: Labels;
}

/** Labels never hold a space, and a namespace is not empty: a namespace alone is the place of what asks for no label. */
const placesOf = ({ namespace, labels }: Place): string[] => [
  namespace,
  ...Object.entries(labels).map(([key, value]) => `${namespace} ${key}=${value}`),
];

/** Objects by their labels. */
export class Labelled {
  private readonly keys = new Multimap<string, string>();

  add(key: string, place: Place): void {
    for (const at of placesOf(place)) this.keys.add(at, key);
  }

  delete(key: string, place: Place): void {
    for (const at of placesOf(place)) this.keys.delete(at, key);
  }

  /** Those in a namespace that bear the rarest of `labels`. */
  among(selector: Place): ReadonlySet<string> {
    return placesOf(selector)
      .map((at) => this.keys.get(at))
      .reduce((fewest, keys) => (keys.size < fewest.size ? keys : fewest));
  }
}

/** Objects by one of the labels that they ask for: the one for which the fewest others are listed when it is added. */
export class Selecting {
  private readonly keys = new Multimap<string, string>();
  private readonly listed = new Map<string, string>();

  add(key: string, selector: Place): void {
    const [namespace = '', ...labels] = placesOf(selector);
    const at = labels.reduce<string | undefined>(
      (best, label) => (best !== undefined && this.keys.get(best).size <= this.keys.get(label).size ? best : label),
      undefined,
    );
    this.listed.set(key, at ?? namespace);
    this.keys.add(at ?? namespace, key);
  }

  delete(key: string): void {
    const at = this.listed.get(key);
    if (at !== undefined) this.keys.delete(at, key);
    this.listed.delete(key);
  }

  /** Those that may select what is at `place`. */
  among(place: Place): string[] {
    const keys: string[] = [];
    for (const at of placesOf(place)) for (const key of this.keys.get(at)) keys.push(key);
    return keys;
  }
}
