/** A control plane without sockets and database: sources, world, compiler, sessions, fleet and receipts as they are, and sidecars that are played. */
import { Compiler } from '../../src/compile/compiler.js';
import { guards, isInbound } from '../../src/compile/resource-names.js';
import { TYPES, TYPE_ORDER, type TypeUrl } from '../../src/compile/resource.js';
import { keyOf, printRef, type Document } from '../../src/model/document.js';
import { withChanges } from '../../src/model/mesh.js';
import type { Labels } from '../../src/model/names.js';
import type { Change, Revision } from '../../src/model/revision.js';
import type { WorldStep } from '../../src/model/world.js';
import { Fleet } from '../../src/status/fleet.js';
import { writtenBy } from '../../src/status/history.js';
import { Receipts } from '../../src/status/receipts.js';
import { isChangedBy } from '../../src/status/remnants.js';
import { Ring } from '../../src/status/ring.js';
import type { EnrolmentView, Enrolments } from '../../src/status/roster.js';
import type { Names } from '../../src/stream/client.js';
import type { RevisionLog } from '../../src/store/revision-log.js';
import { Engine } from '../../src/stream/engine.js';
import type { Session } from '../../src/stream/session.js';
import { Worlds } from '../../src/world/fold.js';
import type { Source, SourceEvent } from '../../src/world/source.js';
import { changesOf, type Edit } from './arbitrary-mesh.js';
import { Sidecar, TRUST_DOMAIN } from './model-sidecar.js';

/** How long a sidecar without a stream is waited for, in milliseconds. */
export const LEASE_MS = 1_000;

class ModelSource implements Source {
  readonly documents: readonly Document[] = [];
  private readonly listeners = new Set<(event: SourceEvent) => void>();

  constructor(readonly origin: Source['origin']) {}

  onChange(listener: (event: SourceEvent) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  tell(event: SourceEvent): void {
    for (const listener of this.listeners) listener(event);
  }
}

class Roster implements Enrolments {
  private readonly views = new Map<string, EnrolmentView>();
  private readonly labels = new Map<string, Labels>();
  private readonly listeners = new Set<() => void>();

  list = (): Iterable<EnrolmentView> => this.views.values();
  get = (enrolment: string): EnrolmentView | undefined => this.views.get(enrolment);
  holding = (id: string): EnrolmentView | undefined =>
    [...this.views.values()].find((view) => view.id === id && view.endedAt === undefined);

  onChange(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  put(view: EnrolmentView): void {
    this.views.set(view.enrolment, { ...view, labels: this.labels.get(view.id) ?? {} });
    for (const listener of this.listeners) listener();
  }

  /** All who speak for a workload were let in with the labels that it has. */
  label(id: string, labels: Labels): void {
    this.labels.set(id, labels);
    for (const view of this.views.values()) if (view.id === id) this.put(view);
  }
}

/** What a name stood for from a sequence on; undefined: there was none. */
interface Past {
  readonly since: number;
  readonly version: string | undefined;
}

export class ModelPlane {
  readonly engine: Engine;
  readonly ring: Ring;
  /** Forgets nothing. */
  private readonly chronicle = new Ring(Infinity);
  readonly fleet: Fleet;
  readonly receipts: Receipts;
  readonly worlds: Worlds;
  readonly revisions: Revision[] = [];
  /** For whoever changes the mesh as a door would. */
  readonly log: RevisionLog;
  private readonly wishes = new ModelSource('rest');
  private readonly facts = new ModelSource('sidecar');
  private readonly roster = new Roster();
  private readonly past = new Map<string, Past[]>();
  /** Is shown every change by itself, as it comes. */
  private readonly apart = new Compiler('sluice', TRUST_DOMAIN);
  private readonly names = new Map<number, Names>();
  /** Workloads that are gone, as sidecars may still guard them; what is compiled as if they were not; what of that each revision changed. */
  private readonly ghosts = new Map<string, Document>();
  private haunted: Compiler | undefined;
  private readonly ghostly = new Map<number, ReadonlySet<string>>();
  /** The sequences that took in several changes at once. */
  private readonly together = new Set<number>();
  /** By name, the objects that anything of that name was ever made of, printed. */
  private readonly causes = new Map<string, Set<string>>();
  /** The objects that a version of a name was made of when it came, printed. */
  private readonly makings = new Map<string, readonly string[]>();
  private readonly sidecars = new Map<Session, Sidecar>();
  private joined = 0;

  /**
   * @param isHurried whether a slice of the engine's time is over after each step, so that all else may come in between
   * @param remembered how many revisions the ring remembers
   */
  constructor(isHurried = false, remembered?: number) {
    this.ring = new Ring(remembered, (changes, mesh, goneNow) =>
      this.fleet.remnants(
        (client) => client.remnants(goneNow),
        (remnant, owner) => isChangedBy(remnant, owner, changes, mesh),
      ),
    );
    this.worlds = new Worlds(TRUST_DOMAIN, [this.wishes, this.facts]);
    const fail = (error: unknown): never => {
      throw error;
    };
    let steps = 0;
    const clock = { now: Date.now, elapsed: () => (isHurried ? (steps += 10) : 0) };
    // Whoever is in a hurry also takes in at once whatever has come.
    this.engine = new Engine(new Compiler('sluice', TRUST_DOMAIN), fail, clock, isHurried ? 1 : undefined);
    this.engine.onPublished((published) => this.ring.record(published));
    this.engine.onPublished((published) => this.chronicle.record(published));
    this.engine.onPublished(({ gone, publication: { sequence } }) => this.fleet.missed(gone, sequence));
    this.engine.onPublished(({ steps: { length }, publication: { sequence, changed } }) => {
      if (length > 1) this.together.add(sequence);
      for (const [type, names] of changed) for (const name of names) this.remember(type, name, sequence);
    });
    this.engine.speakThrough((session, says) => this.sidecars.get(session)?.hear(says()));
    this.fleet = new Fleet(this.roster, LEASE_MS, () => Date.now());
    const { revisions } = this;
    this.log = {
      get head() {
        return revisions.length;
      },
      floor: 1,
      since: async (revision, limit) => revisions.slice(revision, revision + limit),
      append: async (base, added) => {
        if (base !== revisions.length) return 'moved';
        this.append(added);
        return 'ok';
      },
    };
    const log = {
      floor: 1,
      revision: async (number: number) => this.revisions.find((revision) => revision.number === number),
    };
    const history = (number: number) => writtenBy(number, log, () => this.worlds.current.mesh);
    this.receipts = new Receipts(this.engine, this.ring, this.fleet, history, clock.elapsed);
    this.apart.rebuild(this.worlds.current);
    this.worlds.onStep(({ world, changes, revisions }) => {
      this.apart.settle(() => world.sequence);
      const { changed } = this.apart.update(world, changes);
      for (const { number } of revisions) this.names.set(number, changed);
    });
    this.worlds.onStep((step) => this.haunt(step));
    this.worlds.onStep((step) => this.engine.publish(step));
    this.engine.start(this.worlds.current);
  }

  private append(revisions: readonly Revision[]): void {
    for (const revision of revisions) {
      this.revisions.push(revision);
      this.wishes.tell({ changes: revision.changes, revision });
    }
  }

  /** Commits a wish, and gives its revision. */
  write(edit: Edit): number {
    const number = this.revisions.length + 1;
    const changes = changesOf(this.worlds.current.mesh, edit)
      .filter(({ before }) => before?.metadata.origin !== 'sidecar')
      .map((change): Change => ({ ...change, ...(change.after && { after: numbered(change.after, number) }) }));
    const revision: Revision = { number, author: 'model', comment: '', at: '', changes };
    this.append([revision]);
    return number;
  }

  /** Takes in what a sidecar reports, or that its workload is gone. */
  report(edit: Edit): void {
    const changes = changesOf(this.worlds.current.mesh, edit)
      .filter(({ before }) => before === undefined || before.metadata.origin === 'sidecar')
      .map((change): Change => ({
        ...change,
        ...(change.after && {
          after: { ...change.after, metadata: { ...change.after.metadata, origin: 'sidecar', revision: 0 } },
        }),
      }));
    for (const { after } of changes) if (after) this.roster.label(keyOf(after.metadata), after.metadata.labels);
    this.facts.tell({ changes });
  }

  /** A sidecar that has joined as the workload `id`, and is still to open its stream. */
  join(id: string): Sidecar {
    this.joined += 1;
    const sidecar = new Sidecar(this, id, `e${this.joined}:${id}`);
    this.roster.put(sidecar.view());
    return sidecar;
  }

  /** Turns a sidecar out: it may go on with what it has for as long as its certificate is good. */
  evict(sidecar: Sidecar): void {
    sidecar.isTurnedOut = true;
    this.roster.put({ ...sidecar.view(), endedAt: Date.now() });
    sidecar.disconnect();
  }

  opened(session: Session, sidecar: Sidecar): void {
    this.sidecars.set(session, sidecar);
  }

  /** What is said to be what a revision changed: by itself, unless others were taken in with it, and may have their share in it. */
  namesOf(revision: number): Names {
    const seen = this.chronicle.of(revision);
    const isAlone = seen && !this.together.has(seen.sequence);
    const names = (isAlone ? this.names.get(revision) : seen?.names) ?? new Map<TypeUrl, Set<string>>();
    const ghostly = this.ghostly.get(revision);
    if (!ghostly) return names;
    return new Map([...names, [TYPES.listener, new Set([...(names.get(TYPES.listener) ?? []), ...ghostly])]]);
  }

  /** What a revision surely changed: others that were taken in with it may have undone it before it was seen. */
  changedBy(revision: number): Names {
    const own = this.names.get(revision);
    const isSure = (type: TypeUrl, name: string): boolean =>
      own?.get(type)?.has(name) === true ||
      (this.ghostly.get(revision)?.has(name) === true && !this.wasThere(revision, type, name));
    return new Map(
      [...this.namesOf(revision)].map(([type, names]) => [
        type,
        new Set([...names].filter((name) => isSure(type, name))),
      ]),
    );
  }

  /** What a sidecar has that was gone when `revision` came, and was made of something that this wrote. */
  remnantsOf(revision: number, sidecar: Sidecar): readonly (readonly [TypeUrl, string])[] {
    const written = this.revisions[revision - 1]?.changes.map(({ ref }) => printRef(ref)) ?? [];
    return TYPE_ORDER.flatMap((type) =>
      [...sidecar.heldOf(type)].flatMap(([name, version]) => {
        const isMade = this.makings.get(`${type} ${name} ${version}`)?.some((ref) => written.includes(ref));
        return isMade && !this.wasThere(revision, type, name) ? [[type, name] as const] : [];
      }),
    );
  }

  /** Whether a version of a name, or what there is of it now, was made of something that `revision` wrote: more is not known of one that is forgotten. */
  isTraceable(revision: number, type: TypeUrl, name: string, version: string | undefined): boolean {
    const written = this.revisions[revision - 1]?.changes.map(({ ref }) => printRef(ref)) ?? [];
    const now = this.engine.table.get(type, name)?.causes.map(printRef) ?? [];
    const then = this.makings.get(`${type} ${name} ${version}`) ?? [];
    return written.some((ref) => now.includes(ref) || then.includes(ref));
  }

  /** Whether a sidecar wants anything that there was not when `revision` came, and that was ever made of something that this wrote. */
  mayLeaveBehind(revision: number, { wantedOf }: Sidecar): boolean {
    const refs = this.revisions[revision - 1]?.changes.map(({ ref }) => ref) ?? [];
    // Of policies for services that come and go it is not worked out whom they mean.
    const isAboutGuards = refs.some(({ kind }) => kind !== 'TrafficSplit' && kind !== 'Workload');
    const may = (name: string): boolean =>
      (isAboutGuards && isInbound(name)) || refs.some((ref) => this.causes.get(name)?.has(printRef(ref)));
    return TYPE_ORDER.some((type) =>
      [...wantedOf(type)].some((name) => !this.wasThere(revision, type, name) && may(name)),
    );
  }

  /** Whether there was anything of a name in the state of the world that was the first to hold `revision`. */
  private wasThere(revision: number, type: TypeUrl, name: string): boolean {
    const sequence = this.sequenceOf(revision) ?? 0;
    return this.past.get(`${type} ${name}`)?.findLast(({ since }) => since <= sequence)?.version !== undefined;
  }

  /** Notes what the revisions of a step would have changed of the guards of workloads that are gone. */
  private haunt({ world, changes, revisions }: WorldStep): void {
    const { ghosts } = this;
    for (const { ref, before, after } of changes) {
      if (ref.kind !== 'Workload') continue;
      if (after) ghosts.delete(keyOf(ref));
      else if (before?.metadata.origin === 'sidecar') ghosts.set(keyOf(ref), before);
    }
    if (ghosts.size === 0) return void (this.haunted = undefined);
    const mesh = withChanges(
      world.mesh,
      [...ghosts.values()].map((after) => ({ ref: { kind: after.kind, ...placeOf(after) }, after })),
    );
    const { haunted } = this;
    if (!haunted) {
      this.haunted = new Compiler('sluice', TRUST_DOMAIN);
      this.haunted.rebuild({ sequence: world.sequence, mesh });
      return;
    }
    const { changed } = haunted.update({ sequence: world.sequence, mesh }, changes);
    const isGhost = (name: string): boolean => [...ghosts.keys()].some((key) => guards(name, key));
    const names = [...(changed.get(TYPES.listener) ?? [])].filter(isGhost);
    if (names.length > 0) for (const { number } of revisions) this.ghostly.set(number, new Set(names));
  }

  /** Says whether `name` may be what a revision changed: it has ever been made of something that the revision wrote. */
  concerns(revision: number, name: string): boolean {
    const changes = this.revisions[revision - 1]?.changes ?? [];
    const refs = changes.map(({ ref }) => ref);
    // Services are read for workloads and splits, and workloads for policies and services, whether that makes a difference or not.
    const isRead = changes.some(({ ref: { kind, namespace }, before, after }) => {
      if (kind === 'Workload') return name.includes(`.${namespace}:`);
      if (kind === 'MeshSettings') return isInbound(name);
      if (kind !== 'TrafficSplit') return name.startsWith(`inbound/${namespace}/`);
      const services = [before, after].map((one) => (one?.spec as { service?: string } | undefined)?.service);
      return services.some((service) => service !== undefined && name.startsWith(`${service}.${namespace}:`));
    });
    if (isRead) return true;
    const written = refs.map(printRef);
    // What it is made of may have changed, and what it came to not: that is no publication of it.
    const now = TYPE_ORDER.flatMap((type) => this.engine.table.get(type, name)?.causes ?? []).map(printRef);
    const causes = new Set([...(this.causes.get(name) ?? []), ...now]);
    const names = this.kinOf(revision).flatMap((one) => [...(this.names.get(one)?.values() ?? [])]);
    return written.some((ref) => causes.has(ref)) || names.some((some) => some.has(name));
  }

  /** The revisions that wrote any of what `revision` wrote. */
  private kinOf(revision: number): number[] {
    const written = new Set(this.revisions[revision - 1]?.changes.map(({ ref }) => printRef(ref)));
    const kin = this.revisions.filter(({ changes }) => changes.some(({ ref }) => written.has(printRef(ref))));
    return kin.map(({ number }) => number);
  }

  /** The first state of the world that holds a revision; undefined while it is not published. */
  sequenceOf(revision: number): number | undefined {
    return this.chronicle.of(revision)?.sequence;
  }

  /** Says whether to hold `version` of a name is to have what became of it at `sequence`, or something newer. */
  isInForce(type: TypeUrl, name: string, version: string | undefined, sequence: number): boolean {
    const past = this.past.get(`${type} ${name}`) ?? [];
    const before = past.findLastIndex(({ since }) => since <= sequence);
    const since = past.slice(Math.max(0, before));
    // Nothing at all is nothing old, once there is something newer than what is asked about.
    return since.some((one) => one.version === version) || (version === undefined && (before < 0 || since.length > 1));
  }

  close(): void {
    this.receipts.close();
    this.fleet.close();
    this.engine.shutDown();
  }

  private remember(type: TypeUrl, name: string, since: number): void {
    const key = `${type} ${name}`;
    const past = this.past.get(key) ?? [];
    const resource = this.engine.table.get(type, name);
    past.push({ since, version: resource?.version });
    this.past.set(key, past);
    if (resource) this.makings.set(`${key} ${resource.version}`, resource.causes.map(printRef));
    const causes = this.causes.get(name) ?? new Set();
    for (const ref of resource?.causes ?? []) causes.add(printRef(ref));
    this.causes.set(name, causes);
  }
}

const placeOf = ({ metadata: { namespace, name } }: Document) => ({ namespace, name });

const numbered = (document: Document, revision: number): Document => ({
  ...document,
  metadata: { ...document.metadata, origin: 'rest', revision },
});
