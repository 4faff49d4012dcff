/** A sidecar that is played: it does what it is told when the test says so, and answers when the test says so. */
import { TYPE_ORDER, type Resource, type TypeUrl } from '../../src/compile/resource.js';
import { spiffeId, type SpiffeId } from '../../src/model/names.js';
import type { EnrolmentView } from '../../src/status/roster.js';
import type { DeltaResponse } from '../../src/stream/delta.js';
import type { Session } from '../../src/stream/session.js';
import type { ModelPlane } from './model-plane.js';

export const TRUST_DOMAIN = 'sluice.local';
const DAY_MS = 86_400_000;

/** Names of one type. */
const byType = <Of>(make: () => Of): ReadonlyMap<TypeUrl, Of> => new Map(TYPE_ORDER.map((type) => [type, make()]));

export class Sidecar {
  inbox: DeltaResponse[] = [];
  session: Session | undefined;
  /** It was evicted or replaced, and will have no stream again. */
  isTurnedOut = false;
  /** Whether it has said of every type what it wants, on the stream that it has or had last. */
  isIntroduced = false;
  /** When it was there last. */
  seenAt = Date.now();
  /** What it finds hard to swallow, as long as it does not hold that already. */
  refuses: (resource: Pick<Resource, 'name' | 'version'>) => boolean = () => false;
  /** What it would not give up. */
  clingsTo: (name: string) => boolean = () => false;
  private readonly held = byType(() => new Map<string, string>());
  private readonly wanted = byType(() => new Set<string>());
  /** The versions that it refused last; empty: that there is none. */
  private readonly refused = byType(() => new Map<string, string>());
  /** What it refused and keeps at hand, as clients may that find it unfit only for now. */
  private readonly warming = byType(() => new Map<string, string>());
  /** What it has put in force of what it has heard, and which names it refused of that. */
  private readonly swapped = new Map<DeltaResponse, readonly string[]>();
  /** Types that it has not asked for yet on this stream. */
  private unsaid: TypeUrl[] = [];
  private readonly identity: SpiffeId;
  private readonly joinedAt = Date.now();

  constructor(
    private readonly plane: ModelPlane,
    readonly id: string,
    readonly enrolment: string,
  ) {
    const [namespace = '', account = ''] = id.split('/');
    this.identity = spiffeId({ trustDomain: TRUST_DOMAIN, namespace, account });
  }

  view(): EnrolmentView {
    const { enrolment, id, identity, joinedAt } = this;
    return { enrolment, id, identity, labels: {}, joinedAt, certificateEndsAt: joinedAt + DAY_MS };
  }

  /** Opens its stream, and says what it wants and holds of every type. */
  connect(): void {
    this.open();
    while (this.introduce());
  }

  /** Opens its stream, and says nothing yet. */
  open(): void {
    if (this.session || this.isTurnedOut) return;
    const session = this.plane.engine.open(this.id, TYPE_ORDER);
    this.session = session;
    this.unsaid = [...TYPE_ORDER];
    this.isIntroduced = false;
    for (const refused of this.refused.values()) refused.clear();
    this.plane.opened(session, this);
    this.plane.fleet.connected(this.connection(session));
  }

  /** Says what it wants and holds of the next type that it has not said that of, if there is one. */
  introduce(): boolean {
    const type = this.session && this.unsaid.shift();
    if (!type) return false;
    const names = [...this.wantedOf(type)];
    const ask = names.length > 0 ? { subscribe: names, unsubscribe: [] } : { subscribe: ['*'], unsubscribe: ['*'] };
    this.isIntroduced = this.unsaid.length === 0;
    this.tell(type, '', ask, Object.fromEntries(this.heldOf(type)));
    return true;
  }

  disconnect(): void {
    const { session } = this;
    if (!session) return;
    this.session = undefined;
    this.seenAt = Date.now();
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
      this.refusedOf(type).delete(name);
    }
    if (!this.unsaid.includes(type)) this.tell(type, '', { subscribe: add, unsubscribe });
  }

  hear(responses: readonly DeltaResponse[]): void {
    this.inbox.push(...responses);
  }

  /** Puts in force what it has heard at `index`, short of what it refuses, and says nothing of that yet. */
  swap(index: number): void {
    const response = this.inbox[index % Math.max(1, this.inbox.length)];
    if (!response || this.swapped.has(response)) return;
    const { type, resources, removed } = response;
    const wanted = resources.filter(({ name }) => this.wantedOf(type).has(name));
    const isHard = (resource: Resource) =>
      this.heldOf(type).get(resource.name) !== resource.version && this.refuses(resource);
    const refused = wanted.filter(isHard);
    const kept = removed.filter((name) => this.heldOf(type).has(name) && this.clingsTo(name));
    this.swapped.set(response, [...refused.map(({ name }) => name), ...kept]);
    for (const { name, version } of wanted) {
      this.refusedOf(type).delete(name);
      this.warming.get(type)?.delete(name);
      if (!refused.some((one) => one.name === name)) this.heldOf(type).set(name, version);
    }
    for (const { name, version } of refused) {
      this.refusedOf(type).set(name, version);
      this.warming.get(type)?.set(name, version);
    }
    for (const name of kept) this.refusedOf(type).set(name, '');
    for (const name of removed.filter((one) => !kept.includes(one))) {
      this.heldOf(type).delete(name);
      this.refusedOf(type).delete(name);
    }
  }

  /** Finds fit by itself what it refused and was sent nothing else for since. */
  warmUp(): void {
    for (const [type, versions] of this.warming) {
      for (const [name, version] of versions) this.heldOf(type).set(name, version);
      versions.clear();
    }
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

  /** Whether it has been told something of `name` that it has not answered, and has put that in force. */
  flightOf(type: TypeUrl, name: string): 'heard' | 'swapped' | undefined {
    const response = this.inbox.find(
      (one) =>
        one.type === type && (one.removed.includes(name) || one.resources.some((resource) => resource.name === name)),
    );
    return response && (this.swapped.has(response) ? 'swapped' : 'heard');
  }

  heldOf = (type: TypeUrl): Map<string, string> => this.held.get(type) ?? new Map<string, string>();
  wantedOf = (type: TypeUrl): Set<string> => this.wanted.get(type) ?? new Set<string>();
  refusedOf = (type: TypeUrl): Map<string, string> => this.refused.get(type) ?? new Map<string, string>();

  private connection(session: Session) {
    const { id, enrolment, identity } = this;
    return { id, enrolment, identity, agent: 'sluice-proxy', session };
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
