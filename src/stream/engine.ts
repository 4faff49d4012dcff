/**
 * From worlds to what every proxy is told: compiles each state of the world once, and walks the sessions that it
 * concerns. At once when all is quiet, in batches when changes come thick, and always in slices that give the event
 * loop back.
 */
import type { Compiler, Publication } from '../compile/compiler.js';
import type { TypeUrl } from '../compile/resource.js';
import { refOf, type Document } from '../model/document.js';
import { SLICE_MS } from '../model/in-slices.js';
import { KINDS, type Kind } from '../model/kinds.js';
import type { Mesh, Objects } from '../model/mesh.js';
import { MeshError } from '../model/mesh-error.js';
import type { Change } from '../model/revision.js';
import { steadyNow } from '../model/steady-time.js';
import type { World, WorldStep } from '../model/world.js';
import { Audience } from './audience.js';
import type { DeltaRequest, DeltaResponse } from './delta.js';
import { Rehearsals, type Idea, type Told } from './rehearsals.js';
import { Scoped } from './scoped.js';
import { Session, type Shared } from './session.js';

/** After a publication, changes gather for this long before the next one, in milliseconds. */
const GATHER_MS = 10;
/** How often it is looked at whether something that lingers has become dispensable, in milliseconds. */
const SETTLE_MS = 50;
/** How long somebody who reads waits at most for what was said before to be compiled, in milliseconds. */
const CATCH_UP_MS = 1_000;
/** Steps that are compiled one by one, each a state of its own; more that wait together go as one. */
const APART = 32;

/** What a world came to, with the revisions that it is the first to hold. */
export interface Published {
  /** Each has its part in the publication. */
  readonly steps: readonly WorldStep[];
  readonly publication: Publication;
  /** The names of what went out of the world with it, or with one before that sessions have not been told of either. */
  readonly gone: Publication['changed'];
}

/** Carries what a session has to say of a change. A session may fail to say it: that is its own affair and no other's. */
export type Speaker = (session: Session, says: () => readonly DeltaResponse[]) => void;

export class Engine implements Shared {
  readonly audience = new Audience<Session>();
  /** Why the newest world could not be published. What was published before it stays in force. */
  fault: string | undefined;
  /** Grows whenever a client has asked for something else. */
  subscriptions = 0;
  private readonly sessions = new Map<Session, Scoped>();
  private waiting: WorldStep[] = [];
  /** Steps that failed: what they changed comes with the next one that does not. */
  private failed: WorldStep[] = [];
  private work: Iterator<void> | undefined;
  private gathering: NodeJS.Timeout | undefined;
  private settling: NodeJS.Timeout | undefined;
  private isClosed = false;
  private upTo = 0;
  /** The sequences of the newest world that was taken in, and of the newest that was compiled or failed. */
  private taken = 0;
  private done = 0;
  /** Publications that some session may not have been told of yet. */
  private untold: Publication[] = [];
  private readonly publishedTo = new Set<(published: Published) => void>();
  private readonly doneTo = new Set<() => void>();
  private readonly progressTo = new Set<(session: Session) => void>();

  private readonly rehearsals = new Rehearsals();
  /** The newest world that is compiled. */
  private world: World | undefined;
  /** When the slice is over that has begun. */
  private sliceEnd = 0;

  private speak: Speaker = () => undefined;

  /**
   * @param onFailure hears of a world that could not be compiled, which is a fault of ours
   * @param apart how many steps are compiled one by one, at most
   */
  constructor(
    readonly table: Compiler,
    private readonly onFailure: (error: unknown) => void,
    private readonly clock: { now(): number; elapsed(): number } = { now: steadyNow, elapsed: () => performance.now() },
    private readonly apart = APART,
  ) {}

  get told(): number {
    return this.upTo;
  }

  /** Says whether there is anything to tell. A client that is told of nothing would drop what it has. */
  get isReady(): boolean {
    return this.table.sequence > 0;
  }

  mayConcern(): boolean {
    return true;
  }

  /** Says who carries what sessions say. */
  speakThrough(speak: Speaker): void {
    this.speak = speak;
  }

  /** Takes in the first world there is, and publishes it before anything else is done: nobody is served yet. */
  start(world: World): void {
    this.waiting.push({ world, changes: everything(world.mesh), revisions: [] });
    const work = this.publishWaiting();
    while (!work.next().done);
  }

  /** Takes in the next state of the world. */
  publish(step: WorldStep): void {
    this.taken = step.world.sequence;
    this.waiting.push(step);
    if (!this.work && !this.gathering) this.turn();
  }

  /** A session for the client of a workload (`namespace/name`) that has just come. Throws when there is nothing to tell it yet. */
  open(workload: string, announced: readonly TypeUrl[]): Session {
    if (!this.isReady) throw new Error('no world has been published yet');
    const scope = new Scoped(this, workload);
    const session = new Session(scope, announced);
    session.heard = this.table.sequence;
    this.sessions.set(session, scope);
    return session;
  }

  /** Those of the names that a client asks for that are none of its business. */
  foreign(session: Session, request: DeltaRequest): readonly string[] {
    return this.sessions.get(session)?.foreign(request) ?? [];
  }

  /** Takes in what a client says, and gives what it is to be told. Throws SessionViolation. */
  receive(session: Session, request: DeltaRequest): DeltaResponse[] {
    this.catchUp(session);
    const asked = this.sessions.get(session)?.narrow(request, !session.hasOpened(request.type)) ?? request;
    const responses = session.receive(asked, this.clock.now());
    // An acknowledgement asks for nothing.
    if (request.nonce === '' || request.subscribe.length + request.unsubscribe.length > 0) this.subscriptions += 1;
    this.noteProgress(session);
    return responses;
  }

  close(session: Session): void {
    this.sessions.delete(session);
    session.close();
    this.lookForSettled();
  }

  /** Calls `listener` with everything that is published from now on, before any session is told. Returns what ends that. */
  onPublished(listener: (published: Published) => void): () => void {
    this.publishedTo.add(listener);
    return () => this.publishedTo.delete(listener);
  }

  /** Calls `listener` with every session that may have come to hold, want or refuse something else. Returns what ends that. */
  onProgress(listener: (session: Session) => void): () => void {
    this.progressTo.add(listener);
    return () => this.progressTo.delete(listener);
  }

  /** Returns when every world that was taken in before is compiled, so that who reads after a write sees what it came to; or soon. */
  caughtUp(): Promise<void> {
    const wanted = this.taken;
    if (this.done >= wanted) return Promise.resolve();
    return new Promise((resolve) => {
      const end = (): void => {
        clearTimeout(timer);
        this.doneTo.delete(look);
        resolve();
      };
      const look = (): void => void (this.done >= wanted && end());
      const timer = setTimeout(end, CATCH_UP_MS);
      this.doneTo.add(look);
    });
  }

  /** What the changes that `idea` has for the newest world that is compiled would come to. Nothing of it is published. */
  rehearse(idea: Idea): Promise<Told> {
    if (this.isClosed) return Promise.reject(new MeshError('not-ready', ENDING));
    const told = this.rehearsals.ask(idea);
    if (!this.work && !this.gathering) this.turn();
    return told;
  }

  /** Publishes nothing more. */
  shutDown(): void {
    this.isClosed = true;
    this.rehearsals.refuse(ENDING);
    clearTimeout(this.gathering);
    clearTimeout(this.settling);
  }

  private noteProgress(session: Session): void {
    for (const listener of this.progressTo) listener(session);
    this.lookForSettled();
  }

  /** Goes on with the work until its slice is over, and comes back to it until it is done. */
  private turn(): void {
    if (this.isClosed) return;
    this.work ??= this.publishWaiting();
    this.sliceEnd = this.clock.elapsed() + SLICE_MS;
    do {
      if (!this.work.next().done) continue;
      this.work = undefined;
      this.gather();
      return;
    } while (this.clock.elapsed() < this.sliceEnd);
    setImmediate(() => this.turn());
  }

  private gather(): void {
    this.gathering = setTimeout(() => {
      this.gathering = undefined;
      if (this.waiting.length + this.untold.length > 0 || !this.rehearsals.isEmpty) this.turn();
    }, GATHER_MS);
  }

  /** Compiles all that waits, tells whom it concerns, and has a look at what somebody has in mind. What comes meanwhile waits for the next time. */
  private *publishWaiting(): Generator<void> {
    const steps = this.waiting;
    this.waiting = [];
    for (const some of steps.length > this.apart ? [steps] : steps.map((step) => [step])) yield* this.compile(some);
    yield* this.tellAll();
    if (this.fault !== undefined) this.rehearsals.refuse(this.fault);
    else if (this.world)
      yield* this.rehearsals.next(this.table, this.world, () => this.clock.elapsed() < this.sliceEnd);
  }

  /** Compiles a run of steps as one. */
  private *compile(run: readonly WorldStep[]): Generator<void> {
    const steps = [...this.failed, ...run];
    const last = steps.at(-1);
    if (!last) return;
    try {
      this.table.begin(last.world, ...steps.map(({ changes }) => changes));
      let publication: Publication | undefined;
      while (!(publication = this.table.step(never))) yield;
      this.failed = [];
      this.fault = undefined;
      this.world = last.world;
      this.published(steps, publication);
    } catch (error) {
      this.failed = [{ ...last, changes: [], revisions: steps.flatMap(({ revisions }) => revisions) }];
      this.fault = `the mesh as of revision ${last.world.revision} could not be compiled; what was published before it stays in force`;
      this.onFailure(error);
    }
    this.done = last.world.sequence;
    for (const listener of this.doneTo) listener();
  }

  private published(steps: readonly WorldStep[], publication: Publication): void {
    this.untold.push(publication);
    const published = { steps, publication, gone: this.gone };
    for (const listener of this.publishedTo) listener(published);
  }

  private get gone(): Published['gone'] {
    const gone = new Map<TypeUrl, Set<string>>();
    for (const { changed } of this.untold) {
      for (const [type, names] of changed) {
        for (const name of names)
          if (!this.table.get(type, name)) gone.set(type, (gone.get(type) ?? new Set()).add(name));
      }
    }
    return gone;
  }

  private *tellAll(): Generator<void> {
    const publications = this.untold;
    for (const session of this.concerned(publications)) {
      if (session.heard >= this.table.sequence || !this.sessions.has(session)) continue;
      this.speak(session, () => {
        this.catchUp(session);
        return session.speak(this.clock.now());
      });
      if (this.sessions.has(session)) this.noteProgress(session);
      yield;
    }
    this.untold = [];
    this.upTo = this.table.sequence;
  }

  private *concerned(publications: readonly Publication[]): Generator<Session> {
    for (const { changed } of publications) {
      for (const names of changed.values()) for (const name of names) yield* this.audience.of(name);
      yield* this.audience.ofAll;
    }
  }

  /** Nothing may be said to a session, and nothing heard from it, before it knows what the table shows already. */
  private catchUp(session: Session): void {
    for (const publication of this.untold) if (publication.sequence > session.heard) session.tell(publication);
  }

  private lookForSettled(): void {
    this.settling ??= setTimeout(() => {
      this.settling = undefined;
      this.settle();
    }, SETTLE_MS).unref();
  }

  /** Lets go of what lingers for the sake of clients that have moved on by now. */
  private settle(): void {
    if (this.isClosed) return;
    if (this.work) {
      this.lookForSettled();
      return;
    }
    const unknown = [...this.sessions.keys()].filter(({ client }) => !client.isIntroduced);
    const publication = this.table.settle((cluster) => {
      let proven = this.upTo;
      for (const session of [...this.audience.of(cluster), ...this.audience.ofAll, ...unknown]) {
        proven = Math.min(proven, session.serves ?? 0);
      }
      return proven;
    });
    if (!publication) return;
    this.published([], publication);
    if (!this.gathering) this.turn();
  }
}

const never = (): boolean => false;

const ENDING = 'the server is about to stop; try again when it is back';

const everything = (mesh: Mesh): Change[] =>
  (Object.keys(KINDS) as Kind[])
    .flatMap((kind) => [...(mesh[kind] as Objects<Document>).values()])
    .map((after) => ({ ref: refOf(after), after }));
