/** What holds for the whole mesh when nothing says otherwise. */
import { OWN_API, type Document } from './document.js';
import type { KindDefinition } from './kinds.js';

/**
 * What becomes of a call to a workload that no enforced Allow policy protects. The six words are Linkerd's.
 * "cluster" means: from an address in `clusterNetworks`. `audit` lets everything pass and counts what it would refuse.
 */
export const DEFAULT_MODES = [
  'deny',
  'audit',
  'all-authenticated',
  'all-unauthenticated',
  'cluster-authenticated',
  'cluster-unauthenticated',
] as const;
export type DefaultMode = (typeof DEFAULT_MODES)[number];

export interface MeshSettingsSpec {
  readonly defaultMode: DefaultMode;
  /** CIDRs. Read only by the two `cluster-` modes. */
  readonly clusterNetworks: readonly string[];
}

export type MeshSettings = Document<'MeshSettings', MeshSettingsSpec>;

/** The one name under which the settings of the mesh stand. */
export const MESH_SETTINGS_NAME = 'mesh';

/** Until somebody writes other settings: only identities of this mesh may call; "cluster" means private addresses. */
export const INITIAL_SETTINGS: MeshSettingsSpec = {
  defaultMode: 'all-authenticated',
  clusterNetworks: ['10.0.0.0/8', '100.64.0.0/10', '172.16.0.0/12', '192.168.0.0/16', 'fd00::/8'],
};

export const meshSettingsKind: KindDefinition<MeshSettings> = {
  ...OWN_API,
  kind: 'MeshSettings',
  collection: 'mesh-settings',
  namespaced: false,
  noun: 'settings of the mesh',
  shortNames: ['settings', 'ms'],
  onlyName: MESH_SETTINGS_NAME,
  references: () => [],
};
