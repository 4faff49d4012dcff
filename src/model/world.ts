/** The world: the mesh at one moment, wishes and facts together, with its number among all the states of this server. */
import type { Mesh } from './mesh.js';
import type { Change, Revision } from './revision.js';

export interface World {
  /** Counts the states of the world from 1, in memory, from the start of the server on. Proxies prove it. */
  readonly sequence: number;
  /** The newest revision that is folded in. */
  readonly revision: number;
  readonly mesh: Mesh;
}

/** How the world came from one state to the next. */
export interface WorldStep {
  /** As it is afterwards. */
  readonly world: World;
  /** What became different, wishes and facts alike; each object at most once. */
  readonly changes: readonly Change[];
  /** The revisions that this step folded in; none when it was about facts alone. */
  readonly revisions: readonly Revision[];
}
