/** All that any proxy may ask for, as it is in force now: resources by type and name. */
import type { Resource, TypeUrl } from './resource.js';
import { TYPE_ORDER } from './resource.js';

export interface ResourceName {
  readonly type: TypeUrl;
  readonly name: string;
}

/** What readers see of it. It changes in place, from one state to the next at once. */
export interface ResourceTable {
  /** Counts the states of the table. */
  readonly sequence: number;
  get(type: TypeUrl, name: string): Resource | undefined;
  names(type: TypeUrl): Iterable<string>;
  /** The listeners that guard the ports of a workload (by its key). */
  listenersOf(workload: string): readonly string[];
}

/** What became of a name. */
export type Outcome = ResourceName & { readonly resource: Resource | undefined };

export class Table {
  private readonly types = new Map<TypeUrl, Map<string, Resource>>(TYPE_ORDER.map((type) => [type, new Map()]));

  get(type: TypeUrl, name: string): Resource | undefined {
    return this.types.get(type)?.get(name);
  }

  names(type: TypeUrl): Iterable<string> {
    return this.types.get(type)?.keys() ?? [];
  }

  /** Puts what was made in force. */
  put(made: Iterable<Outcome>): void {
    for (const { type, name, resource } of made) {
      if (resource) this.types.get(type)?.set(name, resource);
      else this.types.get(type)?.delete(name);
    }
  }
}
