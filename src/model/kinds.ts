/** The kinds of object that a mesh has. Everything that must be known of each is said in one definition, beside its type. */
import { authorizationPolicyKind, type AuthorizationPolicy } from './authorization-policy.js';
import type { Document, Ref } from './document.js';
import { meshSettingsKind, type MeshSettings } from './mesh-settings.js';
import { serviceKind, type Service } from './service.js';
import { trafficSplitKind, type TrafficSplit } from './traffic-split.js';
import { workloadKind, type Workload } from './workload.js';

/** The type that each kind of object has. */
export interface DocumentOf {
  Service: Service;
  Workload: Workload;
  TrafficSplit: TrafficSplit;
  AuthorizationPolicy: AuthorizationPolicy;
  MeshSettings: MeshSettings;
}

export type Kind = keyof DocumentOf;
export type AnyDocument = DocumentOf[Kind];

/** That one object names another. */
export interface Reference {
  readonly ref: Ref;
  /** Where in the document. */
  readonly pointer: string;
  /** What is named may not be deleted while this names it, unless that is forced. */
  readonly guards: boolean;
}

/** All that holds for a kind, said once; the doors, the command line, problems and guards are derived from it. */
export interface KindDefinition<D extends Document = Document> {
  readonly group: string;
  readonly version: string;
  readonly kind: D['kind'];
  /** What a collection of them is called in a URL. */
  readonly collection: string;
  /** Whether a namespace holds them, or the mesh as a whole. */
  readonly namespaced: boolean;
  /** What one is called in a sentence. */
  readonly noun: string;
  /** What people may call it for short, where kinds are named by a word. */
  readonly shortNames: readonly string[];
  /** The one name that an object of it has, where there is just one in the mesh. */
  readonly onlyName?: string;
  /** What an object names, in the order in which it does. Pure. */
  readonly references: (document: D) => readonly Reference[];
  /** The spec of an object that was stored by an earlier version of this server, as it is said today. Absent: it always was. */
  readonly upgrade?: (spec: unknown) => D['spec'];
}

export const KINDS: { readonly [K in Kind]: KindDefinition<DocumentOf[K]> } = {
  Service: serviceKind,
  Workload: workloadKind,
  TrafficSplit: trafficSplitKind,
  AuthorizationPolicy: authorizationPolicyKind,
  MeshSettings: meshSettingsKind,
};

/** An object as it was stored, in today's words. */
export function upgraded<D extends Document>(document: D): D {
  const { upgrade } = KINDS[document.kind];
  return upgrade ? { ...document, spec: upgrade(document.spec) } : document;
}

/** What `document` names. */
export const referencesOf = (document: Document): readonly Reference[] =>
  (KINDS[document.kind] as KindDefinition).references(document);
