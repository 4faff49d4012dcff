/** What revisions wrote that were made before this server started, or too long ago for the ring. */
import { refOf, type Ref } from '../model/document.js';
import { documentsOf, type Mesh } from '../model/mesh.js';
import { notKept, type Revision } from '../model/revision.js';

/** The log, as far as it is asked here. */
export interface KeptRevisions {
  readonly floor: number;
  revision(number: number): Promise<Revision | undefined>;
}

/** The objects of a revision. */
export interface Written {
  /** Those that it put in place. */
  readonly put: readonly Ref[];
  /** Those that it removed. */
  readonly removed: readonly Ref[];
}

/**
 * What `revision` wrote. Of one that is not kept any more, the objects that stand as it left them: whoever applies again what has
 * been so for long waits for that revision. Throws `gone` when none does.
 */
export async function writtenBy(revision: number, log: KeptRevisions, mesh: () => Mesh): Promise<Written> {
  const kept = await log.revision(revision);
  if (kept) {
    const refs = (stands: boolean) =>
      kept.changes.flatMap(({ ref, after }) => ((after !== undefined) === stands ? ref : []));
    return { put: refs(true), removed: refs(false) };
  }
  const standing = [...documentsOf(mesh())].filter(({ metadata }) => metadata.revision === revision);
  if (standing.length === 0) throw notKept(revision, log.floor);
  return { put: standing.map(refOf), removed: [] };
}
