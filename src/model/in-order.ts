/** Objects of a namespace in the order of their names, a page at a time. */
import type { Document } from './document.js';
import type { Objects } from './mesh.js';
import { byName } from './names.js';

/** Objects never change in place, so that what was once put in order stays so: pages of one list sort once. */
const ordered = new WeakMap<Objects<Document>, Map<string, readonly Document[]>>();

/** Up to `limit` objects of `namespace` whose names come after `after`, and whether there are more. */
export function pageOf(
  objects: Objects<Document>,
  namespace: string,
  after: string,
  limit: number,
): { readonly page: readonly Document[]; readonly more: boolean } {
  const all = inOrder(objects, namespace);
  const from = firstAfter(all, after);
  return { page: all.slice(from, from + limit), more: all.length > from + limit };
}

function inOrder(objects: Objects<Document>, namespace: string): readonly Document[] {
  const known = ordered.get(objects) ?? new Map<string, readonly Document[]>();
  ordered.set(objects, known);
  const remembered = known.get(namespace);
  if (remembered) return remembered;
  const found = [...objects.values()]
    .filter(({ metadata }) => metadata.namespace === namespace)
    .sort((a, b) => byName(a.metadata.name, b.metadata.name));
  // Somebody may ask for any number of namespaces that there are not.
  if (found.length > 0) known.set(namespace, found);
  return found;
}

/** The place of the first whose name comes after `name`. */
function firstAfter(all: readonly Document[], name: string): number {
  let [low, high] = [0, all.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (byName(all[middle]?.metadata.name ?? '', name) > 0) high = middle;
    else low = middle + 1;
  }
  return low;
}
