/** A control plane without sockets and database: sources, world, compiler, sessions, fleet and receipts as they are, and sidecars that are played. */
import { Compiler } from '../../src/compile/compiler.js';
import { TYPE_ORDER, type Resource, type TypeUrl } from '../../src/compile/resource.js';
import { printRef, type Document } from '../../src/model/document.js';
import { spiffeId, type SpiffeId } from '../../src/model/names.js';
import type { Change, Revision } from '../../src/model/revision.js';
import { Fleet, type EnrolmentView, type Enrolments } from '../../src/status/fleet.js';
import { putBy } from '../../src/status/history.js';
import { Receipts } from '../../src/status/receipts.js';
import { Ring } from '../../src/status/ring.js';
import type { Names } from '../../src/stream/client.js';
import type { DeltaResponse } from '../../src/stream/delta.js';
import type { RevisionLog } from '../../src/store/revision-log.js';
import { Engine } from '../../src/stream/engine.js';
import type { Session } from '../../src/stream/session.js';
import { Worlds } from '../../src/world/fold.js';
import type { Source, SourceEvent } from '../../src/world/source.js';
import { changesOf, type Edit } from './arbitrary-mesh.js';

const TRUST_DOMAIN = 'sluice.local';

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
    this.receipts = new Receipts(this.engine, this.ring, this.fleet, (number) =>
      putBy(number, log, () => this.worlds.current.mesh),
    );
    this.apart.rebuild(this.worlds.current);
    this.worlds.onStep(({ world, changes, revisions }) => {
      this.apart.settle(world.sequence);
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

  join(id: string, isPicky = false): Sidecar {
    const sidecar = new Sidecar(this, id, isPicky);
    this.roster.put(sidecar.view());
    return sidecar;
  }

  evict(sidecar: Sidecar): void {
    this.roster.put({ ...sidecar.view(), endedAt: Date.now() });
    sidecar.disconnect();
  }

  opened(session: Session, sidecar: Sidecar): void {
    this.sidecars.set(session, sidecar);
  }

  /** What a revision changed: by itself, unless others were taken in with it, which may have undone it before it was seen. */
  namesOf(revision: number): Names {
    const seen = this.ring.of(revision);
    const isAlone = seen && !this.together.has(seen.sequence);
    return (isAlone ? this.names.get(revision) : seen?.names) ?? new Map<TypeUrl, Set<string>>();
  }

  /** Says whether `name` may be what a revision changed: it has ever been made of something that the revision wrote. */
  concerns(revision: number, name: string): boolean {
    const refs = this.revisions[revision - 1]?.changes.map(({ ref }) => ref) ?? [];
    // Services may be read for a workload, and workloads for a policy or a service, whether that makes a difference or not.
    const isRead = refs.some(({ kind, namespace }) =>
      kind === 'Workload'
        ? name.includes(`.${namespace}:`)
        : kind !== 'TrafficSplit' && name.startsWith(`inbound/${namespace}/`),
    );
    if (isRead) return true;
    const written = refs.map(printRef);
    const causes = this.causes.get(name);
    const names = this.kinOf(revision).flatMap((one) => [...(this.names.get(one)?.values() ?? [])]);
    return written.some((ref) => causes?.has(ref)) || names.some((some) => some.has(name));
  }

  /** The revisions that wrote any of what `revision` wrote. */
  private kinOf(revision: number): number[] {
    const written = new Set(this.revisions[revision - 1]?.changes.map(({ ref }) => printRef(ref)));
    const kin = this.revisions.filter(({ changes }) => changes.some(({ ref }) => written.has(printRef(ref))));
    return kin.map(({ number }) => number);
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

/** A sidecar that does what it is told, as slowly as the test wants it to; a picky one refuses some resources. */
export class Sidecar {
  readonly held = new Map<TypeUrl, Map<string, string>>(TYPE_ORDER.map((type) => [type, new Map()]));
  readonly wanted = new Map<TypeUrl, Set<string>>(TYPE_ORDER.map((type) => [type, new Set()]));
  inbox: DeltaResponse[] = [];
  session: Session | undefined;
  /** What it has put in force of what it has heard, and which names it refused of that. */
  private readonly swapped = new Map<DeltaResponse, readonly string[]>();
  private readonly identity: SpiffeId;

  constructor(
    private readonly plane: ModelPlane,
    readonly id: string,
    private readonly isPicky: boolean,
  ) {
    const [namespace = '', account = ''] = id.split('/');
    this.identity = spiffeId({ trustDomain: TRUST_DOMAIN, namespace, account });
  }

  view(): EnrolmentView {
    const certificateEndsAt = Date.now() + 86_400_000;
    return { enrolment: `e:${this.id}`, id: this.id, identity: this.identity, joinedAt: Date.now(), certificateEndsAt };
  }

  connect(): void {
    if (this.session) return;
    const session = this.plane.engine.open(this.id, TYPE_ORDER);
    this.session = session;
    this.plane.opened(session, this);
    this.plane.fleet.connected(this.connection(session));
    for (const type of TYPE_ORDER) {
      const names = [...this.wantedOf(type)];
      const ask = names.length > 0 ? { subscribe: names, unsubscribe: [] } : { subscribe: ['*'], unsubscribe: ['*'] };
      this.tell(type, '', ask, Object.fromEntries(this.heldOf(type)));
    }
  }

  disconnect(): void {
    const { session } = this;
    if (!session) return;
    this.session = undefined;
    this.inbox = [];
    this.plane.engine.close(session);
    this.plane.fleet.disconnected(this.connection(session));
  }

  /** Wants `add`, and no longer `drop`, if it has a stream to say so. */
  ask(type: TypeUrl, add: readonly string[], drop: readonly string[]): void {
    if (!this.session) return;
    const unsubscribe = drop.filter((name) => !add.includes(name));
    for (const name of add) this.wantedOf(type).add(name);
    for (const name of unsubscribe) {
      this.wantedOf(type).delete(name);
      this.heldOf(type).delete(name);
    }
    this.tell(type, '', { subscribe: add, unsubscribe });
  }

  hear(responses: readonly DeltaResponse[]): void {
    this.inbox.push(...responses);
  }

  /** Puts in force what it has heard at `index`, short of what it refuses, and says nothing of that yet. */
  swap(index: number): void {
    const response = this.inbox[index % Math.max(1, this.inbox.length)];
    if (!response || this.swapped.has(response)) return;
    const { type, resources, removed } = response;
    const refused = resources.filter((resource) => this.refuses(resource)).map(({ name }) => name);
    this.swapped.set(response, refused);
    for (const { name, version } of resources) {
      if (!refused.includes(name) && this.wantedOf(type).has(name)) this.heldOf(type).set(name, version);
    }
    for (const name of removed) this.heldOf(type).delete(name);
  }

  /** Answers the response at `index` of those that it has heard. */
  answer(index: number): void {
    this.swap(index);
    const [response] = this.inbox.splice(index % Math.max(1, this.inbox.length), 1);
    if (!response) return;
    const { type, nonce } = response;
    const refused = this.swapped.get(response) ?? [];
    const error = { message: 'no', resources: refused.map((name) => ({ name, reason: 'it is not to its taste' })) };
    this.tell(type, nonce, { subscribe: [], unsubscribe: [] }, {}, refused.length > 0 ? error : undefined);
  }

  refuses: (resource: Pick<Resource, 'name' | 'version'>) => boolean = ({ version }) =>
    this.isPicky && /[01]$/.test(version);

  heldOf = (type: TypeUrl): Map<string, string> => this.held.get(type) ?? new Map<string, string>();
  wantedOf = (type: TypeUrl): Set<string> => this.wanted.get(type) ?? new Set<string>();

  private connection(session: Session) {
    return { id: this.id, enrolment: `e:${this.id}`, identity: this.identity, agent: 'sluice-proxy', session };
  }

  private tell(
    type: TypeUrl,
    nonce: string,
    asking: { readonly subscribe: readonly string[]; readonly unsubscribe: readonly string[] },
    initialVersions: Record<string, string> = {},
    error?: { readonly message: string; readonly resources: readonly { name: string; reason: string }[] },
  ): void {
    const { session } = this;
    if (!session) return;
    this.hear(this.plane.engine.receive(session, { type, nonce, ...asking, initialVersions, ...(error && { error }) }));
  }
}
