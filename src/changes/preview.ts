/** What a plan would come to beyond the objects that it changes: compiled beside what is in force, told, and kept nowhere. */
import type { Rehearsed, TouchedObject, TouchedResource } from '../compile/rehearsal.js';
import type { TypeUrl } from '../compile/resource.js';
import { withChanges, type Mesh } from '../model/mesh.js';
import type { Change } from '../model/revision.js';
import type { World } from '../model/world.js';
import type { Changes, Plan } from './changes.js';

/** Names of resources, by type. */
export type Touched = ReadonlyMap<TypeUrl, ReadonlySet<string>>;

/** A proxy that is told something else, or of which it is not known. */
export interface TouchedProxy {
  /** `namespace/name` of its workload. */
  readonly id: string;
  readonly state: 'connected' | 'disconnected' | 'lost';
}

/** The engine, and who knows the fleet, as far as a preview needs them. */
export interface Stage {
  /** What the changes that `idea` has for the newest world that is compiled would come to there. Rejects with what it throws. */
  rehearse(
    idea: (world: World) => readonly Change[],
  ): Promise<Rehearsed & { readonly world: World; readonly changes: readonly Change[] }>;
  /** Those whom `changes`, which lead to `mesh` and touch that much, would concern, and those of whom that is not known. */
  concernedBy(touched: Touched, changes: readonly Change[], mesh: Mesh): readonly TouchedProxy[];
}

export interface Preview {
  /** The newest revision of the world that it was made for. */
  readonly base: number;
  readonly changes: readonly Change[];
  /** Resources that would come, become others, or go. */
  readonly resources: readonly TouchedResource[];
  /** Objects of which something else would be said, with what is said now. */
  readonly objects: readonly TouchedObject[];
  /** In order of id. What `wait` would wait for, with those that are lost. */
  readonly proxies: readonly TouchedProxy[];
}

export class Previews {
  constructor(
    private readonly changes: Pick<Changes, 'repeat'>,
    private readonly stage: Stage,
  ) {}

  /** What `plan` would come to as the world stands. Throws `stale-revision` when that is not what was planned, as `apply` does. */
  async preview(plan: Plan): Promise<Preview> {
    const { world, changes, resources, objects } = await this.stage.rehearse((now) => this.changes.repeat(plan, now));
    const touched = new Map(
      [...Map.groupBy(resources, ({ type }) => type)].map(([type, some]) => [
        type,
        new Set(some.map(({ name }) => name)),
      ]),
    );
    const proxies = [...this.stage.concernedBy(touched, changes, withChanges(world.mesh, changes))].sort((a, b) =>
      a.id < b.id ? -1 : 1,
    );
    return { base: world.revision, changes, resources, objects, proxies };
  }
}
