/** Where a plan is tried: on the engine, before the fleet as it is now. */
import type { Names } from '../stream/client.js';
import type { Engine } from '../stream/engine.js';
import type { Idea, Told } from '../stream/rehearsals.js';
import type { Fleet } from './fleet.js';
import type { Proxy } from './proxy.js';

export interface EngineStage {
  rehearse(idea: Idea): Promise<Told>;
  concernedBy(names: Names): readonly Proxy[];
}

export const stageOf = (
  engine: Pick<Engine, 'rehearse' | 'audience' | 'told'>,
  fleet: Pick<Fleet, 'concernedBy'>,
): EngineStage => ({
  rehearse: (idea) => engine.rehearse(idea),
  concernedBy: (names) => fleet.concernedBy({ names, sequence: engine.told, isVague: false }, engine.audience),
});
