/** The scenarios of test/scenarios: a mesh as a user wished it, the snapshot it compiles to, and what calls come to. */
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { parse, parseAllDocuments } from 'yaml';
import type { Document } from '../../src/model/document.js';
import { emptyMesh, withChanges, type Mesh } from '../../src/model/mesh.js';

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
  /** A URL that the caller's sidecar routes, or `namespace/name` of a workload that is called directly. */
  readonly to: string;
  readonly method?: string;
  readonly path?: string;
  readonly times?: number;
  readonly expect: {
    /** How many requests each workload answered. */
    readonly reaches?: Readonly<Record<string, number>>;
    /** How many requests the sidecars answered, by status. */
    readonly answers?: Readonly<Record<string, number>>;
    /** The rule that decided. */
    readonly rule?: string;
    /** The policies that close the workload to a caller that none of them names. */
    readonly closedBy?: readonly string[];
    /** What the audited policies would have said. */
    readonly audit?: 'allowed' | 'denied';
    /** Nothing is answered at all. */
    readonly connection?: 'refused';
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
    mesh: withChanges(emptyMesh(TRUST_DOMAIN), documents.map(asStored)),
    golden: file('snapshot.golden.json'),
    calls: parse(text('traffic.yaml')) as Call[],
  };
}

/** The object as the store would hold it; the older one comes first in the file. */
const asStored = ({ kind, metadata, spec }: Written, index: number): Document =>
  ({
    kind,
    metadata: {
      labels: {},
      annotations: {},
      namespace: '',
      origin: 'rest',
      revision: 1,
      createdAt: new Date(index).toISOString(),
      updatedAt: new Date(index).toISOString(),
      ...metadata,
    },
    spec,
  }) as Document;
