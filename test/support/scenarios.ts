/** The scenarios of test/scenarios: a mesh as a user wished it, the snapshot it compiles to, and what calls come to. */
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { parse, parseAllDocuments } from 'yaml';
import 'reflect-metadata';
import { readDraft, type Door } from '../../src/api/document-door.js';
import { serviceDoor, workloadDoor } from '../../src/discovery/discovery.module.js';
import type { Document } from '../../src/model/document.js';
import { emptyMesh, meshOf, type Mesh } from '../../src/model/mesh.js';

import { meshSettingsDoor } from '../../src/policy/mesh-settings.controller.js';
import { authorizationPolicyDoor } from '../../src/policy/policy.module.js';
import { planChanges } from '../../src/changes/plan.js';
import { trafficSplitDoor } from '../../src/traffic/traffic.module.js';

const ROOT = join(import.meta.dirname, '..', 'scenarios');

export const TRUST_DOMAIN = 'sluice.local';

export interface Scenario {
  readonly name: string;
  /** The objects as they would be sent. */
  readonly documents: readonly Written[];
  readonly mesh: Mesh;
  readonly golden: string;
  readonly calls: readonly Call[];
}

/** An object as somebody writes it. */
export interface Written {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly labels?: Record<string, string> };
  readonly spec: Record<string, unknown>;
}

/** A row of traffic.yaml. Counts of `reaches` and `answers` add up to `times`. */
export interface Call {
  readonly it: string;
  /** `namespace/name` of the calling workload, or `outside`: a plaintext caller without a sidecar. */
  readonly from: string;
  /**
   * A URL that the caller's sidecar routes, or `namespace/name` of a workload that is called directly, with `:port` if it has several.
   * With `tcp://`, or `tcp:` before the name, it is a connection of bytes, whose other end is asked who it is.
   */
  readonly to: string;
  readonly method?: string;
  readonly path?: string;
  readonly times?: number;
  readonly expect: {
    /** How many requests each workload answered, by `namespace/name`, with `:port` if it has several. */
    readonly reaches?: Readonly<Record<string, number>>;
    /** How many requests the sidecars answered, by status. */
    readonly answers?: Readonly<Record<string, number>>;
    /** The rule that decided. */
    readonly rule?: string;
    /** The policies that close the workload to a caller that none of them names. */
    readonly closedBy?: readonly string[];
    /** What the audited policies would have said. */
    readonly audit?: 'allowed' | 'denied';
    /** Nothing is answered at all; or it was made, and cut off before anything was. */
    readonly connection?: 'refused' | 'cut';
  };
}

export const scenarios = (): Scenario[] => readdirSync(ROOT).sort().map(readScenario);

function readScenario(name: string): Scenario {
  const file = (part: string) => join(ROOT, name, part);
  const text = (part: string) => readFileSync(file(part), 'utf8');
  const documents = parseAllDocuments(text('mesh.yaml')).map((document) => document.toJS() as Written);
  return {
    name,
    documents,
    mesh: meshOf(TRUST_DOMAIN, documents.map(asStored)),
    golden: file('snapshot.golden.json'),
    calls: parse(text('traffic.yaml')) as Call[],
  };
}

/** The object as it comes in by REST and as the store would hold it; the older one comes first in the file. */
function asStored({ kind, metadata, ...written }: Written, index: number): Document {
  const place = { namespace: '', ...metadata };
  const door = DOORS.find((one) => one.kind === kind);
  if (!door) throw new Error(`nobody takes in a ${kind}`);
  const draft = readDraft(door, place, { kind, metadata, ...written }, { trustDomain: TRUST_DOMAIN });
  const [change] = planChanges(emptyMesh(TRUST_DOMAIN), { put: [draft] }, 1, new Date(index).toISOString());
  if (!change?.after) throw new Error(`${kind} ${place.name} came to nothing`);
  const { after } = change;
  // What has an identity here has a sidecar, which says where it is.
  const hasSidecar = kind === 'Workload' && written.spec.identity !== undefined;
  return hasSidecar ? { ...after, metadata: { ...after.metadata, origin: 'sidecar' } } : after;
}

/** Doors of several kinds, whose specs differ. */
const DOORS = [
  serviceDoor,
  workloadDoor,
  trafficSplitDoor,
  authorizationPolicyDoor,
  meshSettingsDoor,
] as unknown as Door[];
