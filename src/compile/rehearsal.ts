/** What changes would come to: made as a pass makes it, told, and put in force nowhere. */
import { isDeepStrictEqual } from 'node:util';
import type { Ref } from '../model/document.js';
import type { Problem } from './problems.js';
import type { Resource, TypeUrl } from './resource.js';
import type { Outcome, ResourceName, ResourceTable } from './table.js';

/** A resource that would come, become another one, or go. */
export interface TouchedResource extends ResourceName {
  readonly how: 'added' | 'changed' | 'removed';
}

/** An object of which something else would be said. */
export interface TouchedObject {
  readonly ref: Ref;
  readonly before: readonly Problem[];
  readonly after: readonly Problem[];
}

export interface Rehearsed {
  readonly resources: readonly TouchedResource[];
  readonly objects: readonly TouchedObject[];
}

/** What is in force, and what was made beside it. */
export interface Made {
  readonly made: readonly Outcome[];
  readonly changed: ReadonlyMap<TypeUrl, ReadonlySet<string>>;
  /** By the printed reference of an object. */
  readonly problems: ReadonlyMap<string, readonly Problem[]>;
}

export function rehearsed(
  { made, changed, problems }: Made,
  table: Pick<ResourceTable, 'get'>,
  known: ReadonlyMap<string, readonly Problem[]>,
): Rehearsed {
  const outcomes = new Map<string, Resource | undefined>(
    made.map(({ type, name, resource }) => [`${type} ${name}`, resource]),
  );
  const resources = [...changed].flatMap(([type, names]) =>
    [...names].map((name): TouchedResource => {
      const how = !table.get(type, name) ? 'added' : outcomes.get(`${type} ${name}`) ? 'changed' : 'removed';
      return { type, name, how };
    }),
  );
  const objects = [...problems].flatMap(([object, after]): TouchedObject[] => {
    const before = known.get(object) ?? [];
    const [some] = [...after, ...before];
    return some && !isDeepStrictEqual(before, after) ? [{ ref: some.ref, before, after }] : [];
  });
  return { resources, objects };
}
