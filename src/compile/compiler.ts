/**
 * Keeps the resources of a mesh up to date. The one thing in `compile` that remembers: what is made of one service or
 * one workload is a function of what it reads (`resolve`), and this shell knows who reads what (`dependents`).
 *
 * A change goes through in a pass: what depends on it is found at once, made piece by piece, and put in force whole.
 * However a mesh came about, the table is the same as that of a compiler that was shown it from nothing.
 */
import { keyOf, printRef, type Ref } from '../model/document.js';
import { emptyMesh, find, withChanges, type Mesh } from '../model/mesh.js';
import type { Change } from '../model/revision.js';
import type { World } from '../model/world.js';
import { DIALECTS, type Dialect } from './dialect.js';
import { Dependents } from './dependents.js';
import { Joins, type Joined } from './joins.js';
import { Lingering } from './lingering.js';
import { outboundName } from './outbound.js';
import { Pass } from './pass.js';
import { policyProblems, serviceProblems, splitProblems, type Problem } from './problems.js';
import { Reach } from './reach.js';
import { rehearsed, type Rehearsed } from './rehearsal.js';
import { Relations } from './relations.js';
import { TYPES, make, type Recipe, type TypeUrl } from './resource.js';
import { hasSidecar, inboundsOf, isCalled, outboundsOf } from './resolve.js';
import { Table, type Outcome, type ResourceName, type ResourceTable } from './table.js';

/** The world, as far as it is compiled. */
type Moment = Pick<World, 'sequence' | 'mesh'>;

/** By type, the names whose resource came, changed or went. */
export type Changed = ReadonlyMap<TypeUrl, ReadonlySet<string>>;

/** What somebody changed at once. */
type Changes = readonly Pick<Change, 'ref'>[];

export interface Publication {
  /** The table's. At least the world's; more when the table has had states of its own (see `settle`). */
  readonly sequence: number;
  readonly changed: Changed;
  /** What of that each of the changes has to do with that were taken in together, in their order; none when that is not known. */
  readonly parts: readonly Changed[];
}

export class Compiler implements ResourceTable {
  private readonly dialect: (typeof DIALECTS)[Dialect];
  private readonly table = new Table();
  private readonly lingering = new Lingering();
  /** Names of what was made for a service or a workload, by its printed reference. */
  private readonly madeFor = new Map<string, readonly ResourceName[]>();
  private problems = new Map<string, readonly Problem[]>();
  private readonly joins = new Joins();
  private relations: Relations;
  private reach = new Reach();
  private pass: Pass | undefined;
  private work: Iterator<void> | undefined;
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

  listenersOf(workload: string): readonly string[] {
    return (this.madeFor.get(`Workload ${workload}`) ?? []).map(({ name }) => name);
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
      ...[...dependents.services].flatMap((key) => this.madeFor.get(`Service ${key}`) ?? []),
      ...[...dependents.workloads].flatMap((key) => this.madeFor.get(`Workload ${key}`) ?? []),
    ];
    const named = printRef(ref);
    return names.filter(({ type, name }) => this.get(type, name)?.causes.some((cause) => printRef(cause) === named));
  }

  /** The resources that `ref` came to be a cause of after `sequence`, see Joins. */
  joinedAfter(ref: Ref, sequence: number): readonly Joined[] {
    const resources = () => this.resourcesOf(ref).flatMap(({ type, name }) => this.get(type, name) ?? []);
    return this.joins.after(ref, sequence, resources);
  }

  /** Goes on to `world`, which differs from the one before by what each of `steps` changed. */
  update(world: Moment, ...steps: readonly Changes[]): Publication {
    this.begin(world, ...steps);
    return this.finish();
  }

  /** Goes on to `world`, whatever was before. */
  rebuild(world: Moment): Publication {
    this.lost = true;
    return this.update(world);
  }

  /**
   * Lets those go who may not answer for a cluster any more: every proxy that may call it is known to have the state `provenOf`
   * that cluster, or a newer one, and so calls none of those who went with it. Gives the narrower clusters as a state of their own.
   */
  settle(provenOf: (cluster: string) => number): Publication | undefined {
    if (this.pass) return undefined;
    const dependents = new Dependents();
    for (const service of this.lingering.settle(provenOf)) dependents.services.add(service);
    if (dependents.services.size === 0) return undefined;
    this.start(this.published + 1, dependents, []);
    return this.finish();
  }

  /** As `update`, in a pass that `step` goes through. What is in force stays so until then. */
  begin(world: Moment, ...steps: readonly Changes[]): void {
    if (this.pass) throw new Error('the pass before is not over');
    const sequence = Math.max(world.sequence, this.published + 1);
    for (const { ref } of steps.flat()) if (!find(world.mesh, ref)) this.joins.forget(ref);
    const { all, parts } = this.lost ? { all: this.forget(world.mesh), parts: [] } : this.dependents(world.mesh, steps);
    this.start(sequence, all, parts);
  }

  /**
   * Makes what `changes` would come to, and puts nothing in force: between two calls of what is given back, and after the last of
   * them, everything is as it was. Until then no pass may begin.
   */
  rehearse(changes: readonly Change[]): (goOn: () => boolean) => Rehearsed | undefined {
    if (this.pass || this.lost) throw new Error('there is nothing to rehearse on');
    const before = this.relations.mesh;
    const after = withChanges(before, changes);
    const refs = [...new Map(changes.map(({ ref }) => [printRef(ref), ref])).values()];
    const pass = new Pass(this.published + 1, this.dependents(after, [changes]).all, []);
    this.shift(before, refs);
    pass.undo = [];
    this.pass = pass;
    const work = this.through(pass);
    return (goOn) => {
      this.shift(after, refs);
      let isOver = true;
      try {
        while (!work.next().done) if (!goOn()) return void (isOver = false);
        return rehearsed(pass, this.table, this.problems);
      } finally {
        this.shift(before, refs);
        if (isOver) this.forgetRehearsal(pass);
      }
    };
  }

  /** Makes one thing at least, and more while `goOn` says so; when all is made, that is in force, and here is what it changed. */
  step(goOn: () => boolean): Publication | undefined {
    const { pass, work } = this;
    if (!pass || !work) return undefined;
    try {
      do {
        if (pass.isMade) return this.publish(pass);
        pass.isMade = work.next().done ?? false;
      } while (goOn());
      return undefined;
    } catch (error) {
      this.pass = undefined;
      this.lost = true;
      throw error;
    }
  }

  private forgetRehearsal({ undo = [] }: Pass): void {
    for (const putBack of undo.reverse()) putBack();
    this.pass = undefined;
  }

  private shift(mesh: Mesh, refs: readonly Ref[]): void {
    this.lost = true;
    this.relations.move(mesh, refs);
    this.lost = false;
  }

  private finish(): Publication {
    const publication = this.step(() => true);
    if (!publication) throw new Error('a pass came to no end');
    return publication;
  }

  /** What depends on the changes of each step, in the mesh before all of them and in the one after. */
  private dependents(
    mesh: Mesh,
    steps: readonly Changes[],
  ): { readonly all: Dependents; readonly parts: Dependents[] } {
    const { relations } = this;
    const before = relations.mesh;
    this.lost = true;
    const refs = steps.map((changes) => new Map(changes.map(({ ref }) => [printRef(ref), ref])));
    const parts = refs.map(() => new Dependents());
    const each = (which: Mesh): void => {
      for (const [at, dependents] of parts.entries()) {
        for (const ref of refs[at]?.values() ?? []) {
          const document = find(which, ref);
          const cameOrWent = find(before, ref) === undefined || find(mesh, ref) === undefined;
          if (document) dependents.add(relations, document, cameOrWent);
        }
      }
    };
    each(before);
    const together = new Map(refs.flatMap((some) => [...some]));
    const policies = [...relations.move(mesh, together.values())];
    each(mesh);
    const all = Dependents.of(parts);
    for (const policy of policies) all.policies.add(policy);
    this.lost = false;
    return { all, parts };
  }

  /** Begins anew: everything that there is now, and everything that there was. */
  private forget(mesh: Mesh): Dependents {
    const dependents = new Dependents();
    this.reach = new Reach();
    this.relations = Relations.of(mesh);
    dependents.addAll(this.relations);
    for (const owner of this.madeFor.keys()) {
      const [kind, key = ''] = owner.split(' ');
      (kind === 'Service' ? dependents.services : dependents.workloads).add(key);
    }
    for (const { ref } of this.allProblems()) {
      if (ref.kind === 'Service') dependents.services.add(keyOf(ref));
      if (ref.kind === 'TrafficSplit') dependents.splits.add(keyOf(ref));
      if (ref.kind === 'AuthorizationPolicy') dependents.policies.add(keyOf(ref));
    }
    this.lost = false;
    return dependents;
  }

  private start(sequence: number, dependents: Dependents, parts: readonly Dependents[]): void {
    this.pass = new Pass(sequence, dependents, parts);
    this.work = this.through(this.pass);
  }

  /** Policies come last: that one protects nobody is known when all workloads have been looked at. */
  private *through(pass: Pass): Generator<void> {
    const { services, workloads, splits, policies } = pass.dependents;
    for (const key of services) {
      pass.attribute((dependents) => dependents.services.has(key));
      this.makeOutbounds(key, pass);
      yield;
    }
    for (const key of workloads) {
      pass.attribute((dependents) => dependents.workloads.has(key));
      this.makeInbounds(key, pass);
      yield;
    }
    const { mesh } = this.relations;
    for (const key of splits) {
      const split = mesh.TrafficSplit.get(key);
      pass.problems.set(`TrafficSplit ${key}`, split ? splitProblems(split, this.relations) : []);
      yield;
    }
    for (const key of policies) {
      const policy = mesh.AuthorizationPolicy.get(key);
      const found = policy ? policyProblems(policy, this.relations, this.reach.of(policy)) : [];
      pass.problems.set(`AuthorizationPolicy ${key}`, found);
      yield;
    }
  }

  private makeOutbounds(key: string, pass: Pass): void {
    const owner = `Service ${key}`;
    const service = this.relations.mesh.Service.get(key);
    const outbounds = service ? outboundsOf(service, this.relations) : [];
    const recipes = outbounds.flatMap((outbound) => {
      const accepted = this.accept(key, outboundName(outbound), outbound.accepted, pass);
      return this.dialect.outboundRecipes(outbound, accepted);
    });
    const gone = this.followAll(owner, recipes, pass);
    for (const { type, name } of gone) {
      if (type === TYPES.cluster) this.accept(key, name, [], pass);
    }
    pass.problems.set(owner, service ? serviceProblems(service, outbounds) : []);
  }

  private accept(service: string, cluster: string, accepted: readonly string[], { sequence, undo }: Pass) {
    undo?.push(this.lingering.keep(cluster));
    return this.lingering.note(service, cluster, accepted, sequence);
  }

  private makeInbounds(key: string, pass: Pass): void {
    const workload = this.relations.mesh.Workload.get(key);
    const isGuarded = workload !== undefined && hasSidecar(workload);
    const inbounds = workload && isCalled(workload) ? inboundsOf(workload, this.relations) : [];
    const [first] = inbounds;
    const ports = inbounds.map(({ port }) => port.port);
    pass.undo?.push(this.reach.keep(key));
    const bytes = inbounds.flatMap((inbound) => (inbound.forBytes.length > 0 ? inbound.port.port : []));
    const reached = this.reach.note(key, first && { guarded: isGuarded, policies: first.policies, ports, bytes });
    for (const { metadata } of reached) pass.dependents.policies.add(keyOf(metadata));
    const recipes = isGuarded ? inbounds.map((inbound) => this.dialect.inboundRecipe(inbound)) : [];
    this.followAll(`Workload ${key}`, recipes, pass);
  }

  /** Follows all recipes for `owner`, and takes away what there was for it and is not among them, which it gives. */
  private followAll(owner: string, recipes: readonly Recipe[], pass: Pass): ResourceName[] {
    for (const recipe of recipes) this.follow(recipe, pass);
    const made = new Set(recipes.map(({ type, name }) => `${type} ${name}`));
    const gone = (this.madeFor.get(owner) ?? []).filter(({ type, name }) => !made.has(`${type} ${name}`));
    for (const { type, name } of gone) this.note({ type, name, resource: undefined }, pass);
    pass.madeFor.set(
      owner,
      recipes.map(({ type, name }) => ({ type, name })),
    );
    return gone;
  }

  private follow(recipe: Recipe, pass: Pass): void {
    const { type, name } = recipe;
    this.note({ type, name, resource: make(recipe, this.table.get(type, name), pass.sequence) }, pass);
  }

  private note(outcome: Outcome, pass: Pass): void {
    const { type, name, resource } = outcome;
    const before = this.table.get(type, name);
    if (resource === before) return;
    pass.made.push(outcome);
    if (resource?.version !== before?.version) pass.noteChanged(type, name);
  }

  private publish({ sequence, made, changed, parts, madeFor, problems }: Pass): Publication {
    this.pass = undefined;
    this.published = sequence;
    this.table.put(made);
    for (const { resource } of made) if (resource) this.joins.note(resource, sequence);
    for (const [owner, names] of madeFor) {
      if (names.length > 0) this.madeFor.set(owner, names);
      else this.madeFor.delete(owner);
    }
    for (const [object, found] of problems) {
      if (found.length > 0) this.problems.set(object, found);
      else this.problems.delete(object);
    }
    return { sequence, changed, parts };
  }
}
