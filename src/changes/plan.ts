/** Decides what a wished change comes to: which objects really change, and what they will be. Pure; `Changes` carries it out. */
import { canonicalJson } from '../model/canonical-json.js';
import { printRef, refOf, type Document, type Draft, type Origin, type Ref } from '../model/document.js';
import { KINDS } from '../model/kinds.js';
import { documentsOf, find, withChanges, type Mesh } from '../model/mesh.js';
import { MeshError } from '../model/mesh-error.js';
import { OWNER_LABEL } from '../model/names.js';
import { demand, type Precondition } from '../model/precondition.js';
import type { Change } from '../model/revision.js';
import { exposuresOf, refuseExposure } from './exposure.js';
import { changeTo, guardsOf, protectedPolicies, refuseGuarded, rememberedBy } from './guard.js';

/** What somebody wants of the mesh, whole or not at all. No object is named twice. */
export interface Wish {
  readonly put?: readonly Draft[];
  readonly remove?: readonly Removal[];
  /** Removes what other objects name as well, and takes away what policies protect. */
  readonly force?: boolean;
  /** All that is put is this owner's, and whatever else is goes. */
  readonly owner?: string;
}

/** Objects that one wish may name. */
export const MAX_CHANGES = 1_000;

export interface Removal extends Ref {
  readonly only?: Precondition;
}

/**
 * The changes that `wish` makes to `mesh` as revision `revision` at `at`: what is removed first, then what is put. What is
 * wished and already so makes none. Throws `stale-revision` when a draft is based on a revision that is not the object's any
 * more, `precondition-failed`, `conflict` when it would overwrite what another origin owns, remove what others name or take from a
 * workload that stays what a policy protects, `not-found` when something to be removed does not exist, `invalid` when an object is named twice.
 */
export function planChanges(mesh: Mesh, wish: Wish, revision: number, at: string): Change[] {
  const { put = [], remove = [], force = false, owner } = wish;
  refuseTwice([...remove, ...put]);
  if (owner !== undefined) refuseForeign(mesh, put, owner);
  const named = remove.map((ref): Change => {
    refuseTheOnlyOne(ref);
    const before = find(mesh, ref);
    if (!before) throw MeshError.notFound(printRef(ref));
    if (ref.only) demand(before, ref.only);
    return { ref: refOf(before), before };
  });
  const removals = [...named, ...(owner === undefined ? [] : leftOver(mesh, [...put, ...remove], owner))];
  const puts = put.flatMap((draft) => planPut(find(mesh, draft), draft, revision, at) ?? []);
  return guarded(mesh, [...removals, ...puts], force, (after) => stamped(after, revision, at));
}

/** `changes` with what has to go with them, if nothing that remains stands against them. */
function guarded(mesh: Mesh, changes: Change[], force: boolean, stamp: (after: Document) => Document): Change[] {
  const next = withChanges(mesh, changes);
  const guards = guardsOf(
    next,
    changes.filter(({ after }) => !after),
  );
  const exposures = exposuresOf(mesh, next, changes);
  if (!force) {
    refuseGuarded(guards);
    refuseExposure(exposures);
  }
  const kept = new Map(protectedPolicies(next, changes).map((policy) => [printRef(refOf(policy)), policy]));
  const said = changes.map((change): Change => {
    const name = printRef(change.ref);
    const exposed = exposures.get(name)?.map(({ policy }) => policy);
    const [forced, policy] = [guards.get(name) ?? exposed, kept.get(name)];
    kept.delete(name);
    return { ...change, ...(policy && { after: policy }), ...(forced && { forced }) };
  });
  return [...said, ...[...kept.values()].map((policy) => changeTo(mesh, stamp(policy)))];
}

const stamped = (document: Document, revision: number, at: string): Document => ({
  ...document,
  metadata: { ...document.metadata, revision, updatedAt: at },
});

/** In whose set an object is. What a sidecar reports is in nobody's. */
const ownerOf = ({ metadata: { origin, labels } }: Document): string | undefined =>
  origin === 'rest' ? labels[OWNER_LABEL] : undefined;

/** What `owner` has in `mesh` and does not name any more. */
function leftOver(mesh: Mesh, named: readonly Ref[], owner: string): Change[] {
  const names = new Set(named.map(printRef));
  return [...documentsOf(mesh)].flatMap((before): Change[] => {
    const ref = refOf(before);
    const isTheirs = ownerOf(before) === owner && KINDS[ref.kind].onlyName === undefined;
    return isTheirs && !names.has(printRef(ref)) ? [{ ref, before }] : [];
  });
}

/** Without it, what the mesh began with would hold: that may be more open. */
function refuseTheOnlyOne(ref: Ref): void {
  if (KINDS[ref.kind].onlyName === undefined) return;
  throw new MeshError(
    'conflict',
    `${printRef(ref)} is always there, and cannot be removed; put another one in its place`,
  );
}

/** Two owners of one object would take it from each other for ever. */
function refuseForeign(mesh: Mesh, put: readonly Draft[], owner: string): void {
  for (const draft of put) {
    const before = find(mesh, draft);
    const other = before && ownerOf(before);
    if (other === undefined || other === owner) continue;
    throw new MeshError(
      'conflict',
      `${printRef(draft)} belongs to owner "${other}"; let that owner leave it out first, or take its label ${OWNER_LABEL} away`,
    );
  }
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
  if (draft.only) demand(before, draft.only);
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
  // What is held in memory is what the log gives back: a field that is there and undefined would be gone after a restart.
  const spec: unknown = JSON.parse(canonicalJson(draft.spec));
  const createdIn = before ? before.metadata.createdIn : revision;
  const own = {
    revision,
    ...(createdIn !== undefined && { createdIn }),
    ...{ createdAt, updatedAt: at },
    ...rememberedBy(before, spec),
  };
  const metadata = { name, namespace, labels, annotations, origin, ...own };
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
