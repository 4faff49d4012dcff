/** A pass of the compiler that is under way: what was made, of which nothing is in force yet, and what is due to which change. */
import type { Dependents } from './dependents.js';
import type { Problem } from './problems.js';
import type { TypeUrl } from './resource.js';
import type { Outcome, ResourceName } from './table.js';

type Names = Map<TypeUrl, Set<string>>;

export class Pass {
  readonly made: Outcome[] = [];
  readonly changed: Names = new Map();
  /** What of that is due to each of the changes. */
  readonly parts: readonly Names[];
  /** What `Compiler.madeFor` becomes. */
  readonly madeFor = new Map<string, readonly ResourceName[]>();
  /** By the printed reference of an object. */
  readonly problems = new Map<string, readonly Problem[]>();
  isMade = false;
  /** Of a rehearsal: what puts back what is noted while it is made, last first. */
  undo: (() => void)[] | undefined;
  private current: readonly Names[] = [];

  /** @param each what depends on each of the changes alone */
  constructor(
    readonly sequence: number,
    readonly dependents: Dependents,
    private readonly each: readonly Dependents[],
  ) {
    this.parts = each.length === 1 ? [this.changed] : each.map((): Names => new Map());
  }

  /** What is noted from now on is due to those changes of whose dependents `isOf` says so. */
  attribute(isOf: (dependents: Dependents) => boolean): void {
    this.current = this.parts.length === 1 ? [] : this.parts.filter((_, at) => this.each[at] && isOf(this.each[at]));
  }

  noteChanged(type: TypeUrl, name: string): void {
    for (const part of [this.changed, ...this.current]) {
      const names = part.get(type);
      if (names) names.add(name);
      else part.set(type, new Set([name]));
    }
  }
}
