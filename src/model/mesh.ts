/** The mesh: all that should be true, one immutable value. Everything downstream is a function of it. */
import { Map as PersistentMap } from 'immutable';
import { keyOf, printRef, refOf, type Document, type Ref } from './document.js';
import { KINDS, referencesOf, type DocumentOf, type Kind } from './kinds.js';
import { INITIAL_SETTINGS, MESH_SETTINGS_NAME, type MeshSettingsSpec } from './mesh-settings.js';
import { byName } from './names.js';
import type { Change } from './revision.js';

/**
 * Objects of one kind by their key, in no order that means anything. Never changed in place: a change makes a new one that
 * shares all the rest with the old, so that it costs the same in a large mesh as in a small one.
 */
export interface Objects<D> {
  readonly size: number;
  get(key: string): D | undefined;
  has(key: string): boolean;
  keys(): IterableIterator<string>;
  values(): IterableIterator<D>;
  entries(): IterableIterator<[string, D]>;
  [Symbol.iterator](): IterableIterator<[string, D]>;
}

export type Mesh = {
  readonly trustDomain: string;
  /** Who stands against the deletion of an object, by its printed ref, whether there is such an object or not. */
  readonly guards: Guards;
} & { readonly [K in Kind]: Objects<DocumentOf[K]> };

type Guards = PersistentMap<string, PersistentMap<string, Ref>>;

/** A change as far as it makes a mesh: what it is about, and what stands there afterwards, if anything does. */
export type Step = Pick<Change, 'ref' | 'after'>;

const KIND_NAMES = Object.keys(KINDS) as Kind[];

/** A mesh in which nothing has been said yet. */
export const emptyMesh = (trustDomain: string): Mesh =>
  ({
    trustDomain,
    guards: PersistentMap(),
    ...Object.fromEntries(KIND_NAMES.map((kind) => [kind, PersistentMap()])),
  }) as Mesh;

/** A mesh of `documents`. */
export const meshOf = (trustDomain: string, documents: Iterable<Document>): Mesh =>
  withChanges(
    emptyMesh(trustDomain),
    [...documents].map((after) => ({ ref: refOf(after), after })),
  );

/** The object that `ref` names, if the mesh has it. */
export const find = <K extends Kind>(mesh: Mesh, ref: Ref & { readonly kind: K }): DocumentOf[K] | undefined =>
  mesh[ref.kind].get(keyOf(ref)) as DocumentOf[K] | undefined;

/** All objects, of whatever kind. */
export function* documentsOf(mesh: Mesh): Iterable<Document> {
  for (const kind of KIND_NAMES) yield* mesh[kind].values();
}

/** The objects that name what `ref` is or would be, and stand against its deletion, in order. */
export const guardsAgainst = ({ guards }: Mesh, ref: Ref): Ref[] =>
  [...(guards.get(printRef(ref)) ?? [])].sort(([a], [b]) => byName(a, b)).map(([, by]) => by);

/** The settings in force: those written, or the initial ones. */
export const settingsOf = (mesh: Mesh): MeshSettingsSpec =>
  mesh.MeshSettings.get(MESH_SETTINGS_NAME)?.spec ?? INITIAL_SETTINGS;

/** The mesh after `changes`: what they remove is taken out first, then what they put is put in, in their order. */
export function withChanges(mesh: Mesh, changes: readonly Step[]): Mesh {
  const byKind = Map.groupBy(changes, ({ ref }) => ref.kind);
  const touched = [...byKind].map(([kind, ofKind]) => [kind, changed(mesh[kind], ofKind)] as const);
  const next = { ...mesh, ...Object.fromEntries(touched) };
  return { ...next, guards: regarded(mesh, next, changes) };
}

/** The guards of `mesh` as they are in `next`, in which the objects of `changes` alone differ. */
const regarded = (mesh: Mesh, next: Mesh, changes: readonly Step[]): Guards =>
  mesh.guards.withMutations((guards) => {
    for (const { ref } of changes) {
      const [before, after] = [find(mesh, ref), find(next, ref)];
      const name = printRef(ref);
      for (const guarded of guardedBy(before)) {
        const rest = guards.get(guarded)?.delete(name);
        if (rest === undefined || rest.size === 0) guards.delete(guarded);
        else guards.set(guarded, rest);
      }
      for (const guarded of guardedBy(after)) {
        guards.set(guarded, (guards.get(guarded) ?? PersistentMap<string, Ref>()).set(name, ref));
      }
    }
  });

const guardedBy = (document: Document | undefined): string[] =>
  document ? referencesOf(document).flatMap(({ guards, ref }) => (guards ? printRef(ref) : [])) : [];

const changed = (objects: Objects<Document>, changes: readonly Step[]): Objects<Document> =>
  persistent(objects).withMutations((next) => {
    for (const { ref, after } of changes) if (!after) next.delete(keyOf(ref));
    for (const { ref, after } of changes) if (after) next.set(keyOf(ref), after);
  });

/** Every mesh is made here, of maps of this one kind; another one is still taken for what it holds. */
const persistent = (objects: Objects<Document>): PersistentMap<string, Document> =>
  PersistentMap.isMap(objects) ? (objects as PersistentMap<string, Document>) : PersistentMap(objects);
