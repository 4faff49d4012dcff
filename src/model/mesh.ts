/** The mesh: all that should be true, one immutable value. Everything downstream is a function of it. */
import type { AuthorizationPolicy } from './authorization-policy.js';
import { keyOf, type Document, type Kind, type Ref } from './document.js';
import { INITIAL_SETTINGS, MESH_SETTINGS_NAME, type MeshSettings, type MeshSettingsSpec } from './mesh-settings.js';
import type { Service } from './service.js';
import type { TrafficSplit } from './traffic-split.js';
import type { Workload } from './workload.js';

/** The type that each kind of object has. */
export interface DocumentOf {
  Service: Service;
  Workload: Workload;
  TrafficSplit: TrafficSplit;
  AuthorizationPolicy: AuthorizationPolicy;
  MeshSettings: MeshSettings;
}

export type AnyDocument = DocumentOf[Kind];

/** Objects of each kind by their key. Maps are never changed in place: a change makes a new one of the kind it touches. */
export type Mesh = { readonly trustDomain: string } & {
  readonly [K in Kind]: ReadonlyMap<string, DocumentOf[K]>;
};

/** A mesh in which nothing has been said yet. */
export const emptyMesh = (trustDomain: string): Mesh => ({
  trustDomain,
  Service: new Map(),
  Workload: new Map(),
  TrafficSplit: new Map(),
  AuthorizationPolicy: new Map(),
  MeshSettings: new Map(),
});

/** The object that `ref` names, if the mesh has it. */
export const find = <K extends Kind>(mesh: Mesh, ref: Ref & { readonly kind: K }): DocumentOf[K] | undefined =>
  (mesh[ref.kind] as ReadonlyMap<string, DocumentOf[K]>).get(keyOf(ref));

/** The settings in force: those written, or the initial ones. */
export const settingsOf = (mesh: Mesh): MeshSettingsSpec =>
  mesh.MeshSettings.get(MESH_SETTINGS_NAME)?.spec ?? INITIAL_SETTINGS;

/** The mesh with `documents` put in (replacing those of the same name) and what `removed` names taken out. */
export function withChanges(mesh: Mesh, documents: readonly Document[], removed: readonly Ref[] = []): Mesh {
  const touched = new Set<Kind>([...documents.map(({ kind }) => kind), ...removed.map(({ kind }) => kind)]);
  const next: Record<string, unknown> = { ...mesh };
  for (const kind of touched) {
    const objects = new Map<string, Document>(mesh[kind]);
    for (const ref of removed) if (ref.kind === kind) objects.delete(keyOf(ref));
    for (const document of documents) if (document.kind === kind) objects.set(keyOf(document.metadata), document);
    next[kind] = objects;
  }
  return next as Mesh;
}
