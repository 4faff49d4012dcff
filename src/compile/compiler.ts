/**
 * Keeps the resources of a mesh up to date. The one thing in `compile` that remembers: what is made of one service or
 * one workload is a function of what it reads (`resolve`), and this shell knows who reads what (`dependents`).
 *
 * A change goes through in a pass: what depends on it is found at once, made piece by piece, and put in force whole.
 * However a mesh came about, the table is the same as that of a compiler that was shown it from nothing.
 */
import { keyOf, printRef, type Ref } from '../model/document.js';
import { emptyMesh, find, type Mesh } from '../model/mesh.js';
import type { Change } from '../model/revision.js';
import type { World } from '../model/world.js';
import { DIALECTS, type Dialect } from './dialect.js';
import { Dependents } from './dependents.js';
import { Lingering } from './lingering.js';
import { outboundName } from './outbound.js';
import { policyProblems, splitProblems, type Problem } from './problems.js';
import { Reach } from './reach.js';
import { Relations } from './relations.js';
import { inboundName, workloadOf } from './resource-names.js';
import { TYPES, make, type Recipe, type TypeUrl } from './resource.js';
import { inboundOf, isGuarded, outboundsOf } from './resolve.js';
import { Table, type Outcome, type ResourceName, type ResourceTable } from './table.js';

/** The world, as far as it is compiled. */
type Moment = Pick<World, 'sequence' | 'mesh'>;

export interface Publication {
  /** The table's. At least the world's; more when the table has had states of its own (see `settle`). */
  readonly sequence: number;
  /** By type, the names whose resource came, changed or went. */
  readonly changed: ReadonlyMap<TypeUrl, ReadonlySet<string>>;
}

/** A pass that is under way. */
interface Pass {
  readonly sequence: number;
  readonly outcomes: Outcome[];
  readonly problems: Map<string, readonly Problem[]>;
  readonly work: Iterator<void>;
}

export class Compiler implements ResourceTable {
  private readonly dialect: (typeof DIALECTS)[Dialect];
  private readonly table = new Table();
  private readonly lingering = new Lingering();
  /** Names of what was made for a service, by its key. */
  private readonly outbounds = new Map<string, readonly ResourceName[]>();
  private problems = new Map<string, readonly Problem[]>();
  private relations: Relations;
  private reach = new Reach();
  private pass: Pass | undefined;
  /** A pass failed half-way: nothing that is remembered of the mesh can be relied on. */
  private lost = false;
  private published = 0;

  constructor(dialect: Dialect, trustDomain: string) {
    this.dialect = DIALECTS[dialect];
    this.relations = Relations.of(emptyMesh(trustDomain));
  }

  get sequence(): number {
    return this.published;
  }

  get(type: TypeUrl, name: string) {
    return this.table.get(type, name);
  }

  names(type: TypeUrl): Iterable<string> {
    return this.table.names(type);
  }

  problemsOf(ref: Ref): readonly Problem[] {
    return this.problems.get(printRef(ref)) ?? [];
  }

  /** Every problem there is. */
  allProblems(): Problem[] {
    return [...this.problems.values()].flat();
  }

  /** The resources that `ref` is among the causes of. */
  resourcesOf(ref: Ref): readonly ResourceName[] {
    const document = find(this.relations.mesh, ref);
    if (!document) return [];
    const dependents = new Dependents();
    dependents.add(this.relations, document, false);
    const names = [
      ...[...dependents.services].flatMap((key) => this.outbounds.get(key) ?? []),
      ...[...dependents.workloads].map(inboundResource),
    ];
    const named = printRef(ref);
    return names.filter(({ type, name }) => this.get(type, name)?.causes.some((cause) => printRef(cause) === named));
  }

  /** Goes on to `world`, which differs from the one before by `changes`. */
  update(world: Moment, changes: readonly Pick<Change, 'ref'>[]): Publication {
    this.begin(world, changes);
    return this.finish();
  }

  /** Goes on to `world`, whatever was before. */
  rebuild(world: Moment): Publication {
    this.lost = true;
    return this.update(world, []);
  }

  /**
   * Lets those go who may not answer for a cluster any more: every proxy is known to have the state `proven` or a newer
   * one, and so calls none of those who went with it. Gives the narrower clusters as a state of their own, if there are any.
   */
  settle(proven: number): Publication | undefined {
    if (this.pass) return undefined;
    const dependents = new Dependents();
    for (const service of this.lingering.settle(proven)) dependents.services.add(service);
    if (dependents.services.size === 0) return undefined;
    this.start(this.published + 1, dependents);
    return this.finish();
  }

  /** As `update`, in a pass that `step` goes through. What is in force stays so until then. */
  begin(world: Moment, changes: readonly Pick<Change, 'ref'>[]): void {
    if (this.pass) throw new Error('the pass before is not over');
    const sequence = Math.max(world.sequence, this.published + 1);
    const dependents = this.lost ? this.forget(world.mesh) : this.follow(world.mesh, changes);
    this.start(sequence, dependents);
  }

  /** Makes one thing at least, and more while `goOn` says so; when all is made, that is in force, and here is what it changed. */
  step(goOn: () => boolean): Publication | undefined {
    const { pass } = this;
    if (!pass) return undefined;
    try {
      do {
        if (pass.work.next().done) return this.publish(pass);
      } while (goOn());
      return undefined;
    } catch (error) {
      this.pass = undefined;
      this.lost = true;
      throw error;
    }
  }

  private finish(): Publication {
    const publication = this.step(() => true);
    if (!publication) throw new Error('a pass came to no end');
    return publication;
  }

  /** What depends on the changes, in the mesh before and in the one after. */
  private follow(mesh: Mesh, changes: readonly Pick<Change, 'ref'>[]): Dependents {
    const { relations } = this;
    const before = relations.mesh;
    this.lost = true;
    const refs = new Map(changes.map(({ ref }) => [printRef(ref), ref]));
    const dependents = new Dependents();
    const each = (which: Mesh): void => {
      for (const ref of refs.values()) {
        const document = find(which, ref);
        const cameOrWent = find(before, ref) === undefined || find(mesh, ref) === undefined;
        if (document) dependents.add(relations, document, cameOrWent);
      }
    };
    each(before);
    for (const policy of relations.move(mesh, refs.values())) dependents.policies.add(policy);
    each(mesh);
    this.lost = false;
    return dependents;
  }

  /** Begins anew: everything that there is now, and everything that there was. */
  private forget(mesh: Mesh): Dependents {
    const dependents = new Dependents();
    this.reach = new Reach();
    this.relations = Relations.of(mesh);
    dependents.addAll(this.relations);
    for (const service of this.outbounds.keys()) dependents.services.add(service);
    for (const name of this.names(TYPES.listener)) {
      const workload = workloadOf(name);
      if (workload !== undefined) dependents.workloads.add(workload);
    }
    for (const { ref } of this.allProblems()) {
      if (ref.kind === 'TrafficSplit') dependents.splits.add(keyOf(ref));
      if (ref.kind === 'AuthorizationPolicy') dependents.policies.add(keyOf(ref));
    }
    this.lost = false;
    return dependents;
  }

  private start(sequence: number, dependents: Dependents): void {
    const outcomes: Outcome[] = [];
    const problems = new Map<string, readonly Problem[]>();
    const work = this.work(dependents, sequence, outcomes, problems);
    this.pass = { sequence, outcomes, problems, work };
  }

  /** Policies come last: that one protects nobody is known when all workloads have been looked at. */
  private *work(
    { services, workloads, splits, policies }: Dependents,
    sequence: number,
    outcomes: Outcome[],
    problems: Map<string, readonly Problem[]>,
  ): Generator<void> {
    for (const key of services) {
      outcomes.push(...this.makeOutbounds(key, sequence));
      yield;
    }
    for (const key of workloads) {
      outcomes.push(this.makeInbound(key, sequence, policies));
      yield;
    }
    const { mesh } = this.relations;
    for (const key of splits) {
      const split = mesh.TrafficSplit.get(key);
      problems.set(`TrafficSplit ${key}`, split ? splitProblems(split, this.relations) : []);
      yield;
    }
    for (const key of policies) {
      const policy = mesh.AuthorizationPolicy.get(key);
      const found = policy ? policyProblems(policy, this.relations, this.reach.of(policy)) : [];
      problems.set(`AuthorizationPolicy ${key}`, found);
      yield;
    }
  }

  private makeOutbounds(key: string, sequence: number): Outcome[] {
    const service = this.relations.mesh.Service.get(key);
    const outbounds = service ? outboundsOf(service, this.relations) : [];
    const made = outbounds
      .flatMap((outbound) => {
        const accepted = this.lingering.note(key, outboundName(outbound), outbound.accepted, sequence);
        return this.dialect.outboundRecipes(outbound, accepted);
      })
      .map((recipe) => this.follows(recipe, sequence));
    const names = new Set(made.map(({ name }) => name));
    const gone = (this.outbounds.get(key) ?? []).filter(({ name }) => !names.has(name));
    for (const { type, name } of gone) if (type === TYPES.cluster) this.lingering.note(key, name, [], sequence);
    if (made.length > 0)
      this.outbounds.set(
        key,
        made.map(({ type, name }) => ({ type, name })),
      );
    else this.outbounds.delete(key);
    return [...made, ...gone.map(({ type, name }) => ({ type, name, resource: undefined }))];
  }

  private makeInbound(key: string, sequence: number, policies: Set<string>): Outcome {
    const workload = this.relations.mesh.Workload.get(key);
    const inbound = workload?.spec.port === undefined ? undefined : inboundOf(workload, this.relations);
    const guarded = workload !== undefined && isGuarded(workload);
    const reached = this.reach.note(key, inbound && { guarded, policies: inbound.policies });
    for (const { metadata } of reached) policies.add(keyOf(metadata));
    if (!inbound || !guarded) return { ...inboundResource(key), resource: undefined };
    return this.follows(this.dialect.inboundRecipe(inbound), sequence);
  }

  private follows(recipe: Recipe, sequence: number): Outcome {
    const { type, name } = recipe;
    return { type, name, resource: make(recipe, this.table.get(type, name), sequence) };
  }

  private publish({ sequence, outcomes, problems }: Pass): Publication {
    this.pass = undefined;
    this.published = sequence;
    for (const [key, found] of problems) {
      if (found.length > 0) this.problems.set(key, found);
      else this.problems.delete(key);
    }
    return { sequence, changed: this.table.put(outcomes) };
  }
}

const inboundResource = (workload: string): ResourceName => ({ type: TYPES.listener, name: inboundName(workload) });
