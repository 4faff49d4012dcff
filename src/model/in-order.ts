/** Objects in the order of their namespaces and names, a page at a time. */
import { keyOf, type Document } from './document.js';
import type { Objects } from './mesh.js';
import { byName } from './names.js';

/** Objects never change in place, so that what was once put in order stays so: pages of one list sort once. */
const ordered = new WeakMap<Objects<Document>, Map<string, readonly Document[]>>();

/** What a page is taken of. */
export interface Wanted {
  /** Absent: all of them. */
  readonly namespace?: string;
  /** The key of the last object of the page before; empty for the first page. */
  readonly after: string;
  readonly limit: number;
  /** Absent: every object. */
  readonly selects?: (document: Document) => boolean;
}

/** Up to `limit` objects that come after `after`, and whether there are more. */
export function pageOf(
  objects: Objects<Document>,
  { namespace, after, limit, selects = () => true }: Wanted,
): { readonly page: readonly Document[]; readonly more: boolean } {
  const all = inOrder(objects, namespace);
  const page: Document[] = [];
  for (let at = firstAfter(all, after); at < all.length; at += 1) {
    const document = all[at];
    if (!document || !selects(document)) continue;
    if (page.length === limit) return { page, more: true };
    page.push(document);
  }
  return { page, more: false };
}

/** The key of an object: those of a namespace, which begin alike, stand together. */
const placeOf = ({ metadata }: Document): string => keyOf(metadata);

function inOrder(objects: Objects<Document>, namespace = EVERYWHERE): readonly Document[] {
  const known = ordered.get(objects) ?? new Map<string, readonly Document[]>();
  ordered.set(objects, known);
  const remembered = known.get(namespace);
  if (remembered) return remembered;
  const found = [...objects.values()]
    .filter(({ metadata }) => namespace === EVERYWHERE || metadata.namespace === namespace)
    .sort((a, b) => byName(placeOf(a), placeOf(b)));
  // Somebody may ask for any number of namespaces that there are not.
  if (found.length > 0) known.set(namespace, found);
  return found;
}

/** No namespace is called so. */
const EVERYWHERE = '*';

/** The place of the first that comes after `key`. */
function firstAfter(all: readonly Document[], key: string): number {
  let [low, high] = [0, all.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    const document = all[middle];
    if (document && byName(placeOf(document), key) > 0) high = middle;
    else low = middle + 1;
  }
  return low;
}
