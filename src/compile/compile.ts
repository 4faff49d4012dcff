/**
 * Turns a mesh into proxy configuration. Pure and total: it reads its arguments alone, never throws, and gives the same
 * bytes for the same mesh however that came about. What cannot have its full effect becomes a problem, not an error.
 */
import type { Mesh } from '../model/mesh.js';
import { byName } from '../model/names.js';
import { inboundRecipe } from './inbound.js';
import { outboundRecipes } from './outbound.js';
import { problemsOf, type Problem } from './problems.js';
import { TYPE_ORDER, make, type Resource, type TypeUrl } from './resource.js';
import { resolve } from './resolve.js';

export type ResourcesByType = ReadonlyMap<TypeUrl, ReadonlyMap<string, Resource>>;

/** All that any proxy may ask for. */
export interface Snapshot {
  /** By type and by name, in order of name. */
  readonly resources: ResourcesByType;
  readonly problems: readonly Problem[];
}

export const EMPTY_SNAPSHOT: Snapshot = { resources: new Map(), problems: [] };

/**
 * Compiles `mesh`. With the snapshot of an earlier mesh, only what depends on a change is made again; the result is
 * the same with and without.
 */
export function compile(mesh: Mesh, previous: Snapshot = EMPTY_SNAPSHOT): Snapshot {
  const resolved = resolve(mesh);
  const recipes = [...resolved.outbounds.flatMap(outboundRecipes), ...resolved.inbounds.map(inboundRecipe)];
  const byType = Map.groupBy(recipes, ({ type }) => type);
  const resources = TYPE_ORDER.map((type) => {
    const made = (byType.get(type) ?? [])
      .sort((a, b) => byName(a.name, b.name))
      .map((recipe) => make(recipe, previous.resources.get(type)?.get(recipe.name)));
    return [type, new Map(made.map((resource) => [resource.name, resource]))] as const;
  });
  return { resources: new Map(resources), problems: problemsOf(mesh, resolved) };
}
