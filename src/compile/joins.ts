/** When objects came to be causes of resources without being changed themselves: through another one that came, changed or went. */
import { printRef, type Ref } from '../model/document.js';
import type { Resource } from './resource.js';

/** A resource that an object came to be a cause of, and the sequence at which it did. */
export interface Joined extends Pick<Resource, 'type' | 'name'> {
  readonly since: number;
}

export class Joins {
  /** By the printed reference of an object, when it last did: most have not for long, and then nobody looks any further. */
  private readonly newest = new Map<string, number>();

  /** Notes those that are causes of `resource` from `sequence` on. */
  note({ causes, joined }: Resource, sequence: number): void {
    for (const [at, ref] of causes.entries()) if (joined[at] === sequence) this.newest.set(printRef(ref), sequence);
  }

  /** There is no such object any more. */
  forget(ref: Ref): void {
    this.newest.delete(printRef(ref));
  }

  /** Those of `resources` that `ref` came to be a cause of after `sequence`. */
  after(ref: Ref, sequence: number, resources: () => readonly Resource[]): Joined[] {
    const named = printRef(ref);
    if ((this.newest.get(named) ?? 0) <= sequence) return [];
    return resources().flatMap(({ type, name, causes, joined }) => {
      const since = joined[causes.findIndex((cause) => printRef(cause) === named)] ?? 0;
      return since > sequence ? { type, name, since } : [];
    });
  }
}
