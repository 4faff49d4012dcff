/** A control plane without sockets and database: sources, world, compiler, sessions, fleet and receipts as they are, and sidecars that are played. */
import { Compiler } from '../../src/compile/compiler.js';
import { TYPE_ORDER, type TypeUrl } from '../../src/compile/resource.js';
import { printRef, type Document } from '../../src/model/document.js';
import type { Change, Revision } from '../../src/model/revision.js';
import { Fleet, type EnrolmentView, type Enrolments } from '../../src/status/fleet.js';
import { putBy } from '../../src/status/history.js';
import { Receipts } from '../../src/status/receipts.js';
import { Ring } from '../../src/status/ring.js';
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
    this.views.set(view.enrolment, view);
    for (const listener of this.listeners) listener();
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
  /** The sequences that took in several changes at once. */
  private readonly together = new Set<number>();
  /** By name, the objects that anything of that name was ever made of, printed. */
  private readonly causes = new Map<string, Set<string>>();
  private readonly sidecars = new Map<Session, Sidecar>();
  private joined = 0;

  /**
   * @param isHurried whether a slice of the engine's time is over after each step, so that all else may come in between
   * @param remembered how many revisions the ring remembers
   */
  constructor(isHurried = false, remembered?: number) {
    this.ring = new Ring(remembered);
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
    const history = (number: number) => putBy(number, log, () => this.worlds.current.mesh);
    this.receipts = new Receipts(this.engine, this.ring, this.fleet, history, clock.elapsed);
    this.apart.rebuild(this.worlds.current);
    this.worlds.onStep(({ world, changes, revisions }) => {
      this.apart.settle(() => world.sequence);
      const { changed } = this.apart.update(world, changes);
      for (const { number } of revisions) this.names.set(number, changed);
    });
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

  /** What a revision changed: by itself, unless others were taken in with it, which may have undone it before it was seen. */
  namesOf(revision: number): Names {
    const seen = this.chronicle.of(revision);
    const isAlone = seen && !this.together.has(seen.sequence);
    return (isAlone ? this.names.get(revision) : seen?.names) ?? new Map<TypeUrl, Set<string>>();
  }

  /** Says whether `name` may be what a revision changed: it has ever been made of something that the revision wrote. */
  concerns(revision: number, name: string): boolean {
    const changes = this.revisions[revision - 1]?.changes ?? [];
    const refs = changes.map(({ ref }) => ref);
    // Services are read for workloads and splits, and workloads for policies and services, whether that makes a difference or not.
    const isRead = changes.some(({ ref: { kind, namespace }, before, after }) => {
      if (kind === 'Workload') return name.includes(`.${namespace}:`);
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
    const causes = this.causes.get(name) ?? new Set();
    for (const ref of resource?.causes ?? []) causes.add(printRef(ref));
    this.causes.set(name, causes);
  }
}

const numbered = (document: Document, revision: number): Document => ({
  ...document,
  metadata: { ...document.metadata, origin: 'rest', revision },
});
