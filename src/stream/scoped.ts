/** All that there is as one sidecar sees it: what it may not have does not exist, and "everything" is what is its own then. */
import { TYPES, type Resource, type TypeUrl } from '../compile/resource.js';
import type { ResourceTable } from '../compile/table.js';
import type { DeltaRequest } from './delta.js';
import { mayHave } from './scope.js';
import type { Shared } from './session.js';
import { WILDCARD } from './subscription.js';

export class Scoped implements Shared, ResourceTable {
  readonly table = this;

  /** @param workload `namespace/name` of the sidecar's own workload */
  constructor(
    private readonly all: Shared,
    private readonly workload: string,
  ) {}

  get sequence(): number {
    return this.all.table.sequence;
  }

  get told(): number {
    return this.all.told;
  }

  get audience(): Shared['audience'] {
    return this.all.audience;
  }

  mayConcern(name: string): boolean {
    return mayHave(this.workload, name);
  }

  get(type: TypeUrl, name: string): Resource | undefined {
    return this.mayConcern(name) ? this.all.table.get(type, name) : undefined;
  }

  names(type: TypeUrl): Iterable<string> {
    return type === TYPES.listener ? this.listenersOf(this.workload) : [];
  }

  listenersOf(workload: string): readonly string[] {
    return workload === this.workload ? this.all.table.listenersOf(workload) : [];
  }

  /** Those of the names that a request asks for that are none of its sidecar's business. */
  foreign({ subscribe }: DeltaRequest): string[] {
    return subscribe.filter((name) => !this.mayConcern(name));
  }

  /** The request with what "everything" comes to here in the place of that. `first`: it is the first of its type. */
  narrow(request: DeltaRequest, first: boolean): DeltaRequest {
    const { type, subscribe, unsubscribe } = request;
    const asksForAll = subscribe.includes(WILDCARD) || (first && subscribe.length + unsubscribe.length === 0);
    if (!asksForAll || unsubscribe.includes(WILDCARD)) return request;
    const named = subscribe.filter((name) => name !== WILDCARD);
    const own = type === TYPES.listener ? this.listenersOf(this.workload) : [];
    return { ...request, subscribe: [...named, ...own, WILDCARD], unsubscribe: [...unsubscribe, WILDCARD] };
  }
}
