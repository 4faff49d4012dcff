/**
 * Turns a mesh into proxy configuration. Pure and total: it reads its argument alone, never throws, and gives the same
 * bytes for the same mesh however that came about. What cannot have its full effect becomes a problem, not an error.
 */
import { printRef } from '../model/document.js';
import type { Mesh } from '../model/mesh.js';
import { byName } from '../model/names.js';
import { Compiler } from './compiler.js';
import type { Problem } from './problems.js';
import { TYPE_ORDER, type Resource, type TypeUrl } from './resource.js';

export type ResourcesByType = ReadonlyMap<TypeUrl, ReadonlyMap<string, Resource>>;

/** All that any proxy may ask for. */
export interface Snapshot {
  /** By type and by name, in order of name. */
  readonly resources: ResourcesByType;
  readonly problems: readonly Problem[];
}

export const EMPTY_SNAPSHOT: Snapshot = { resources: new Map(), problems: [] };

/** Compiles `mesh` from nothing. Who has compiled the mesh before it goes on from there instead: `Compiler`. */
export function compile(mesh: Mesh): Snapshot {
  const compiler = new Compiler('sluice', mesh.trustDomain);
  compiler.rebuild({ sequence: 1, mesh });
  return snapshotOf(compiler);
}

/** All that is in the table of `compiler`, in order. */
export function snapshotOf(compiler: Compiler): Snapshot {
  const resources = TYPE_ORDER.map((type) => {
    const found = [...compiler.names(type)].sort(byName).flatMap((name) => compiler.get(type, name) ?? []);
    return [type, new Map(found.map((resource) => [resource.name, resource]))] as const;
  });
  return {
    resources: new Map(resources),
    problems: compiler.allProblems().sort((a, b) => byName(sortKey(a), sortKey(b))),
  };
}

const sortKey = ({ ref, message }: Problem): string => `${printRef(ref)} ${message}`;
