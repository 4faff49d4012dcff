/** Decides what a wished change comes to: which objects really change, and what they will be. Pure; `Changes` carries it out. */
import { canonicalJson } from '../model/canonical-json.js';
import { printRef, refOf, type Document, type Draft, type Origin, type Ref } from '../model/document.js';
import { find, type Mesh } from '../model/mesh.js';
import { MeshError } from '../model/mesh-error.js';
import type { Change } from '../model/revision.js';

/** What somebody wants of the mesh, whole or not at all. No object is named twice. */
export interface Wish {
  readonly put?: readonly Draft[];
  readonly remove?: readonly Ref[];
}

/**
 * The changes that `wish` makes to `mesh` as revision `revision` at `at`: what is removed first, then what is put. What is
 * wished and already so makes none. Throws `stale-revision` when a draft is based on a revision that is not the object's any
 * more, `conflict` when it would overwrite what another origin owns, `not-found` when something to be removed does not
 * exist, `invalid` when an object is named twice.
 */
export function planChanges(mesh: Mesh, wish: Wish, revision: number, at: string): Change[] {
  const { put = [], remove = [] } = wish;
  refuseTwice([...remove, ...put]);
  const removals = remove.map((ref): Change => {
    const before = find(mesh, ref);
    if (!before) throw MeshError.notFound(printRef(ref));
    return { ref: refOf(before), before };
  });
  const puts = put.flatMap((draft) => planPut(find(mesh, draft), draft, revision, at) ?? []);
  return [...removals, ...puts];
}

/** Nobody could say which of the two was meant. */
function refuseTwice(refs: readonly Ref[]): void {
  const seen = new Set<string>();
  for (const name of refs.map(printRef)) {
    if (seen.has(name))
      throw MeshError.invalid([{ detail: `${name} is named twice; a change set names an object once` }]);
    seen.add(name);
  }
}

function planPut(before: Document | undefined, draft: Draft, revision: number, at: string): Change | undefined {
  const { kind, namespace, name, labels, annotations, origin, basedOn } = draft;
  const ref = { kind, namespace, name };
  const standsAt = before?.metadata.revision ?? 0;
  if (basedOn !== undefined && basedOn !== standsAt) {
    throw new MeshError(
      'stale-revision',
      standsAt === 0
        ? `${printRef(ref)} does not exist any more; leave metadata.revision out to create it`
        : `${printRef(ref)} was changed in revision ${standsAt}, after revision ${basedOn}; read it again and repeat the change`,
    );
  }
  if (before && before.metadata.origin !== origin) {
    const owner = OWNERS[before.metadata.origin];
    throw new MeshError(
      'conflict',
      `${printRef(ref)} was registered ${owner}, and only so it can be changed; delete it first`,
    );
  }
  if (before && canonicalJson(wished(draft)) === canonicalJson(wished({ ...before.metadata, spec: before.spec }))) {
    return undefined;
  }
  const createdAt = before?.metadata.createdAt ?? at;
  const metadata = { name, namespace, labels, annotations, origin, revision, createdAt, updatedAt: at };
  // What is held in memory is what the log gives back: a field that is there and undefined would be gone after a restart.
  const spec: unknown = JSON.parse(canonicalJson(draft.spec));
  const after: Document = { kind, metadata, spec };
  return { ref: refOf(after), ...(before && { before }), after };
}

const OWNERS: Record<Origin, string> = { rest: 'by hand', sidecar: 'by its sidecar' };

/** What makes two objects of one name the same wish. */
const wished = ({ labels, annotations, origin, spec }: Pick<Draft, 'labels' | 'annotations' | 'origin' | 'spec'>) => ({
  labels,
  annotations,
  origin,
  spec,
});
