/** Where a plan is tried: on the engine, before the fleet as it is now. */
import type { Mesh } from '../model/mesh.js';
import type { Change } from '../model/revision.js';
import type { Names } from '../stream/client.js';
import type { Engine } from '../stream/engine.js';
import type { Idea, Told } from '../stream/rehearsals.js';
import type { Fleet } from './fleet.js';
import type { Proxy } from './proxy.js';
import { isChangedBy } from './remnants.js';

export interface EngineStage {
  rehearse(idea: Idea): Promise<Told>;
  /** Those whom `changes`, which lead to `mesh` and touch `names`, would concern. */
  concernedBy(names: Names, changes: readonly Change[], mesh: Mesh): readonly Proxy[];
}

export const stageOf = (
  engine: Pick<Engine, 'rehearse' | 'audience' | 'told'>,
  fleet: Pick<Fleet, 'concernedBy' | 'remnants'>,
): EngineStage => ({
  rehearse: (idea) => engine.rehearse(idea),
  concernedBy: (names, changes, mesh) => {
    const remnants = fleet.remnants(
      (client) => client.remnants(),
      (remnant, owner) => isChangedBy(remnant, owner, changes, mesh),
    );
    return fleet.concernedBy({ names, remnants, sequence: engine.told, isVague: false }, engine.audience);
  },
});
