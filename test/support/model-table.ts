/** A table of resources that is written by hand: for sessions that are tried without a compiler. */
import type { Publication } from '../../src/compile/compiler.js';
import { guards } from '../../src/compile/resource-names.js';
import { TYPES, TYPE_ORDER, type Resource, type TypeUrl } from '../../src/compile/resource.js';
import type { ResourceTable } from '../../src/compile/table.js';
import { Audience } from '../../src/stream/audience.js';
import type { Session, Shared } from '../../src/stream/session.js';

/** A resource as tests write it: of a type, by name, in a version. */
export interface Written {
  readonly type: TypeUrl;
  readonly name: string;
  readonly version: string;
  /** How many bytes it has on the wire. */
  readonly size?: number;
  /** What it leads to; absent: what has its own name. */
  readonly leadsTo?: readonly string[];
}

export class ModelTable implements ResourceTable, Shared {
  sequence = 0;
  told = 0;
  readonly table = this;
  readonly audience = new Audience<Session>();
  private resources = new Map<TypeUrl, Map<string, Resource>>(TYPE_ORDER.map((type) => [type, new Map()]));

  get(type: TypeUrl, name: string): Resource | undefined {
    return this.resources.get(type)?.get(name);
  }

  mayConcern(): boolean {
    return true;
  }

  names(type: TypeUrl): Iterable<string> {
    return this.resources.get(type)?.keys() ?? [];
  }

  listenersOf(workload: string): string[] {
    return [...this.names(TYPES.listener)].filter((name) => guards(name, workload));
  }

  /** Puts exactly `all` in place, and says what changed. Sessions are still to be told. */
  become(all: Iterable<Written>): Publication {
    this.sequence += 1;
    const next = new Map<TypeUrl, Map<string, Resource>>(TYPE_ORDER.map((type) => [type, new Map()]));
    for (const written of all) next.get(written.type)?.set(written.name, this.made(written));
    const changed = new Map(TYPE_ORDER.map((type) => [type, this.changedOf(type, next.get(type) ?? new Map())]));
    this.resources = next;
    return { sequence: this.sequence, changed, parts: [changed] };
  }

  /** Tells those whom `publication` concerns, and gives them back. */
  tell(publication: Publication): Set<Session> {
    const names = [...publication.changed.values()].flatMap((some) => [...some]);
    const concerned = new Set([...names.flatMap((name) => [...this.audience.of(name)]), ...this.audience.ofAll]);
    for (const session of concerned) session.tell(publication);
    this.told = publication.sequence;
    return concerned;
  }

  private made({ type, name, version, size = 0, leadsTo = [name] }: Written): Resource {
    const before = this.get(type, name);
    if (before?.version === version) return before;
    const entry = new Uint8Array(size);
    return {
      type,
      name,
      version,
      since: this.sequence,
      bytes: entry,
      entry,
      leadsTo,
      causes: [],
      joined: [],
      inputs: [],
    };
  }

  private changedOf(type: TypeUrl, next: ReadonlyMap<string, Resource>): Set<string> {
    const names = new Set([...this.names(type), ...next.keys()]);
    return new Set([...names].filter((name) => this.get(type, name)?.version !== next.get(name)?.version));
  }
}
