/** What revisions put in place that were made before this server started, or too long ago for the ring. */
import { refOf, type Ref } from '../model/document.js';
import { documentsOf, type Mesh } from '../model/mesh.js';
import { notKept, type Revision } from '../model/revision.js';

/** The log, as far as it is asked here. */
export interface KeptRevisions {
  readonly floor: number;
  revision(number: number): Promise<Revision | undefined>;
}

/**
 * The objects that `revision` put in place. Of one that is not kept any more, those that stand as it left them: whoever applies
 * again what has been so for long waits for that revision. Throws `gone` when none does.
 */
export async function putBy(revision: number, log: KeptRevisions, mesh: () => Mesh): Promise<readonly Ref[]> {
  const kept = await log.revision(revision);
  if (kept) return kept.changes.flatMap(({ ref, after }) => (after ? ref : []));
  const standing = [...documentsOf(mesh())].filter(({ metadata }) => metadata.revision === revision);
  if (standing.length === 0) throw notKept(revision, log.floor);
  return standing.map(refOf);
}
