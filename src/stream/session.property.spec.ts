/** Whatever happens on a stream, in whatever order: once all is quiet, a client has what the mesh compiles to, and was never led astray. */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { TYPES, TYPE_ORDER, USERS, type Resource, type TypeUrl } from '../compile/resource.js';
import type { DeltaRequest, DeltaResponse, Published } from './delta.js';
import { Session } from './session.js';

/** A client that believes everything it is told, except that it finds some versions hard to swallow. */
class ModelClient {
  readonly held = new Map<TypeUrl, Map<string, string>>(TYPE_ORDER.map((type) => [type, new Map()]));
  readonly subscribed = new Map<TypeUrl, Set<string>>(TYPE_ORDER.map((type) => [type, new Set()]));
  readonly inbox: DeltaResponse[] = [];
  private readonly opened = new Set<TypeUrl>();

  constructor(private readonly session: Session) {}

  /** Keeps what it holds, as after a lost stream. */
  reconnect(session: Session): ModelClient {
    const next = new ModelClient(session);
    for (const type of TYPE_ORDER) {
      next.held.set(type, new Map(this.held.get(type)));
      next.subscribed.set(type, new Set(this.subscribed.get(type)));
    }
    for (const type of TYPE_ORDER) next.ask(type, [], []);
    return next;
  }

  ask(type: TypeUrl, add: readonly string[], drop: readonly string[]): void {
    const names = this.namesOf(type);
    const first = !this.opened.has(type);
    for (const name of add) names.add(name);
    for (const name of drop) {
      names.delete(name);
      this.heldOf(type).delete(name);
    }
    this.opened.add(type);
    const subscribe = first ? (names.size > 0 ? [...names] : ['*']) : add;
    const unsubscribe = first ? (names.size > 0 ? [] : ['*']) : drop;
    const initialVersions = first ? Object.fromEntries(this.heldOf(type)) : {};
    this.tell({ type, nonce: '', subscribe, unsubscribe, initialVersions });
  }

  hear(responses: readonly DeltaResponse[]): void {
    for (const response of responses) {
      expect(
        this.inbox.some(({ type }) => type === response.type),
        'one response of a type in flight',
      ).toBe(false);
      this.inbox.push(response);
    }
  }

  /** Answers one response, and refuses those of its resources that are hard to swallow. */
  answer(index: number): void {
    const [response] = this.inbox.splice(index % Math.max(1, this.inbox.length), 1);
    if (!response) return;
    const { type, nonce, resources, removed } = response;
    const names = [...resources.map(({ name }) => name), ...removed];
    expect(new Set(names).size, 'no name twice in a response').toBe(names.length);
    const refused = resources.filter(({ version }) => isBitter(version));
    for (const { name, version } of resources) {
      if (!isBitter(version) && this.namesOf(type).has(name)) this.heldOf(type).set(name, version);
    }
    for (const name of removed) this.heldOf(type).delete(name);
    const error = { message: 'bitter', resources: refused.map(({ name }) => ({ name, reason: 'bitter' })) };
    this.tell({
      type,
      nonce,
      subscribe: [],
      unsubscribe: [],
      initialVersions: {},
      ...(refused.length > 0 && { error }),
    });
  }

  answerAll(): void {
    for (let turn = 0; this.inbox.length > 0; turn += 1) {
      expect(turn, 'it comes to rest').toBeLessThan(200);
      this.answer(0);
    }
  }

  heldOf = (type: TypeUrl): Map<string, string> => this.held.get(type) ?? new Map<string, string>();
  namesOf = (type: TypeUrl): Set<string> => this.subscribed.get(type) ?? new Set<string>();

  private tell(request: DeltaRequest): void {
    this.hear(this.session.receive(request, 0));
  }
}

/** How the versions begin that clients refuse. */
const BITTER = 'bitter';
const isBitter = (version: string): boolean => version.startsWith(BITTER);
const NAMES = ['a', 'b', 'c'];

const type = fc.constantFrom(...TYPE_ORDER);
const names = fc.subarray(NAMES);
const world = fc.dictionary(
  fc.constantFrom(...TYPE_ORDER.flatMap((one) => NAMES.map((name) => `${one} ${name}`))),
  fc.constantFrom('1', '2', BITTER),
);
const step = fc.oneof(
  { weight: 3, arbitrary: world.map((resources) => ({ publish: resources }) as const) },
  { weight: 3, arbitrary: fc.record({ ask: type, add: names, drop: names }) },
  { weight: 5, arbitrary: fc.record({ answer: fc.nat(3) }) },
  { weight: 1, arbitrary: fc.constant({ reconnect: true } as const) },
);

function published(revision: number, resources: Record<string, string>): Published {
  const made = Object.entries(resources).map(([key, version]): Resource => {
    const [url, name] = key.split(' ') as [TypeUrl, string];
    return {
      type: url,
      name,
      version,
      bytes: new Uint8Array(),
      entry: new Uint8Array(),
      since: 1,
      causes: [],
      inputs: [],
    };
  });
  const byType = Map.groupBy(made, (resource) => resource.type);
  return {
    revision,
    resources: new Map([...byType].map(([url, all]) => [url, new Map(all.map((one) => [one.name, one]))])),
  };
}

describe('a session', () => {
  it('leads every client to what the mesh compiles to, short of what it refuses', () => {
    fc.assert(
      fc.property(world, fc.array(step, { maxLength: 40 }), (first, steps) => {
        let now = published(1, first);
        let session = new Session(now, TYPE_ORDER);
        let client = new ModelClient(session);
        for (const one of TYPE_ORDER) client.ask(one, [], []);
        for (const action of steps) {
          if ('publish' in action) {
            now = published(now.revision + 1, action.publish);
            client.hear(session.publish(now, 0));
          } else if ('ask' in action) {
            client.ask(
              action.ask,
              action.add,
              action.drop.filter((name) => !action.add.includes(name)),
            );
          } else if ('answer' in action) {
            client.answer(action.answer);
          } else {
            session = new Session(now, TYPE_ORDER);
            client = client.reconnect(session);
          }
        }
        client.answerAll();
        const wantedOf = (one: TypeUrl, name: string) => now.resources.get(one)?.get(name)?.version;
        const refusedOf = (one: TypeUrl) =>
          [...client.namesOf(one)].filter((name) => isBitter(wantedOf(one, name) ?? ''));
        const refusals = TYPE_ORDER.flatMap(refusedOf).length;
        for (const one of TYPE_ORDER) {
          const mayStay = USERS[one].some((user) => refusedOf(user).length > 0);
          for (const name of client.namesOf(one)) {
            const wanted = wantedOf(one, name);
            if (wanted === undefined ? !mayStay : !isBitter(wanted))
              expect(client.heldOf(one).get(name), `${one} ${name}`).toBe(wanted);
          }
          expect([...(session.holds.get(one) ?? [])]).toEqual([...client.heldOf(one).keys()].sort());
        }
        expect(session.refusals).toHaveLength(refusals);
        expect(session.serves === now.revision).toBe(refusals === 0);
      }),
      { numRuns: 2_000 },
    );
  });

  it('never takes away what a route may still use', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.record({
            cluster: fc.constantFrom('a', 'b', 'c'),
            answers: fc.nat(4),
            taste: fc.constantFrom('', '', `${BITTER} `),
          }),
          { maxLength: 20 },
        ),
        (moves) => {
          // One route, to one cluster at a time; the others do not exist. A route's version is the cluster it names,
          // and some routes are refused.
          const at = (revision: number, cluster: string, taste = '') =>
            published(revision, { [`${TYPES.cluster} ${cluster}`]: '1', [`${TYPES.route} r`]: `${taste}${cluster}` });
          let revision = 1;
          const session = new Session(at(revision, 'a'), [TYPES.cluster, TYPES.route]);
          const client = new ModelClient(session);
          client.ask(TYPES.cluster, NAMES, []);
          client.ask(TYPES.route, ['r'], []);
          const check = (): void => {
            const target = client.heldOf(TYPES.route).get('r');
            if (target !== undefined)
              expect(client.heldOf(TYPES.cluster).has(target), `the route goes to ${target}`).toBe(true);
          };
          for (const { cluster, answers, taste } of moves) {
            revision += 1;
            client.hear(session.publish(at(revision, cluster, taste), 0));
            for (let turn = 0; turn < answers; turn += 1) {
              // In the order in which they came: what a client does with them is up to that.
              client.answer(0);
              check();
            }
          }
          client.answerAll();
          check();
          expect(session.serves === revision).toBe(!isBitter(moves.at(-1)?.taste ?? ''));
        },
      ),
      { numRuns: 1_000 },
    );
  });
});
