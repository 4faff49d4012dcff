/** Whatever happens on a stream, in whatever order: once all is quiet, a client has what the mesh compiles to, and was never led astray. */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ModelTable, type Written } from '../../test/support/model-table.js';
import { TYPES, TYPE_ORDER, USERS, type TypeUrl } from '../compile/resource.js';
import type { DeltaRequest, DeltaResponse } from './delta.js';
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

  /** Answers one of the first `count` responses. */
  answerOneOf(count: number, index: number): void {
    this.answer(index % count);
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

/** Two of them fill a response. */
const SIZE = 30_000;

function written(resources: Readonly<Record<string, string>>, size = SIZE): Written[] {
  return Object.entries(resources).map(([key, version]) => {
    const [url, name] = key.split(' ') as [TypeUrl, string];
    // A route is called by the cluster that it leads to; other versions lead to what has their own name.
    const target = NAMES.find((one) => url === TYPES.route && version.split(' ').at(-1) === one);
    return { type: url, name, version, size, ...(target !== undefined && { leadsTo: [target] }) };
  });
}

/** Worlds one after the other, and the one session that is told of them. */
class Worlds {
  readonly table = new ModelTable();
  /** The versions by type and name at each sequence. */
  private readonly past: Readonly<Record<string, string>>[] = [{}];
  session = new Session(this.table, TYPE_ORDER);

  publish(resources: Readonly<Record<string, string>>, size = SIZE): DeltaResponse[] {
    const concerned = this.table.tell(this.table.become(written(resources, size)));
    this.past.push(resources);
    return concerned.has(this.session) ? this.session.speak(0) : [];
  }

  restart(): Session {
    this.session.close();
    this.session = new Session(this.table, TYPE_ORDER);
    return this.session;
  }

  versionOf = (one: TypeUrl, name: string): string | undefined => this.past.at(-1)?.[`${one} ${name}`];

  /** What is said to be in force at a client is what was so at that time or later, or nothing when that is past. */
  expectTrue(client: ModelClient): void {
    for (const one of TYPE_ORDER) {
      for (const name of client.namesOf(one)) {
        const since = this.past.findIndex((_, sequence) => this.session.client.proof(one, name, sequence) !== 'held');
        const proven = since < 0 ? this.past.length - 1 : since - 1;
        const versions = this.past.slice(Math.max(0, proven)).map((resources) => resources[`${one} ${name}`]);
        const held = client.heldOf(one).get(name);
        const isPast = new Set(versions).size > 1;
        if (held !== undefined || !isPast) expect(versions, `${one} ${name} at ${proven}`).toContain(held);
      }
    }
  }
}

describe('a session', () => {
  it('leads every client to what the mesh compiles to, short of what it refuses, and never says that it has what it has not', () => {
    fc.assert(
      fc.property(world, fc.array(step, { maxLength: 40 }), (first, steps) => {
        const worlds = new Worlds();
        worlds.publish(first);
        let client = new ModelClient(worlds.session);
        for (const one of TYPE_ORDER) client.ask(one, [], []);
        for (const action of steps) {
          if ('publish' in action) {
            client.hear(worlds.publish(action.publish));
          } else if ('ask' in action) {
            client.ask(
              action.ask,
              action.add,
              action.drop.filter((name) => !action.add.includes(name)),
            );
          } else if ('answer' in action) {
            client.answer(action.answer);
          } else {
            client = client.reconnect(worlds.restart());
          }
          worlds.expectTrue(client);
        }
        client.answerAll();
        const { session, table } = worlds;
        const refusedOf = (one: TypeUrl) =>
          [...client.namesOf(one)].filter((name) => isBitter(worlds.versionOf(one, name) ?? ''));
        const refusals = TYPE_ORDER.flatMap(refusedOf).length;
        for (const one of TYPE_ORDER) {
          const mayStay = USERS[one].some((user) => refusedOf(user).length > 0);
          for (const name of client.namesOf(one)) {
            const wanted = worlds.versionOf(one, name);
            const isHeld = client.heldOf(one).get(name) === wanted;
            if (wanted === undefined ? !mayStay : !isBitter(wanted))
              expect(client.heldOf(one).get(name), `${one} ${name}`).toBe(wanted);
            expect(session.client.proof(one, name, table.sequence) === 'held', `${one} ${name} is proven`).toBe(isHeld);
          }
          expect([...(session.client.holds.get(one) ?? [])]).toEqual([...client.heldOf(one).keys()].sort());
        }
        expect(session.client.refusals).toHaveLength(refusals);
        expect(session.serves).toBe(table.sequence);
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
          const at = (cluster: string, taste = '') => ({
            [`${TYPES.cluster} ${cluster}`]: '1',
            [`${TYPES.route} r`]: `${taste}${cluster}`,
          });
          const worlds = new Worlds();
          worlds.publish(at('a'));
          const client = new ModelClient(worlds.session);
          for (const one of TYPE_ORDER) client.ask(one, [], []);
          client.ask(TYPES.cluster, NAMES, []);
          client.ask(TYPES.route, ['r'], []);
          const check = (): void => {
            const target = client.heldOf(TYPES.route).get('r');
            if (target !== undefined)
              expect(client.heldOf(TYPES.cluster).has(target), `the route goes to ${target}`).toBe(true);
          };
          for (const { cluster, answers, taste } of moves) {
            client.hear(worlds.publish(at(cluster, taste)));
            for (let turn = 0; turn < answers; turn += 1) {
              // In the order in which they came: what a client does with them is up to that.
              client.answer(0);
              check();
            }
          }
          client.answerAll();
          check();
          const kept = [...client.heldOf(TYPES.cluster).keys()].filter((one) => !worlds.table.get(TYPES.cluster, one));
          expect(kept.filter((one) => one !== client.heldOf(TYPES.route).get('r'))).toEqual([]);
          expect(worlds.session.serves).toBe(worlds.table.sequence);
        },
      ),
      { numRuns: 1_000 },
    );
  });

  it('starves nobody: however slow a client and however restless the world, a change is in force two rounds later', () => {
    fc.assert(
      fc.property(fc.array(world, { minLength: 20, maxLength: 60 }), fc.infiniteStream(fc.nat(3)), (changes, order) => {
        const worlds = new Worlds();
        worlds.publish({});
        const client = new ModelClient(worlds.session);
        for (const one of TYPE_ORDER) client.ask(one, NAMES, []);
        client.answerAll();
        // A round is answered in two turns at most: first what is new, then what went. In a turn the client answers all
        // that it has heard by then, and before each answer the world has changed.
        const turns: number[] = [];
        const left = changes.map((resources) => withoutBitter(resources));
        while (left.length > 0) {
          turns.push(worlds.table.sequence);
          for (let heard = client.inbox.length; heard >= 0; heard -= 1) {
            const next = left.shift();
            // Small enough for one response, so that a turn is not a part of a round.
            if (next) client.hear(worlds.publish(next, 1));
            if (heard > 0) client.answerOneOf(heard, order.next().value ?? 0);
          }
          const twoRoundsAgo = turns.at(-4);
          if (twoRoundsAgo === undefined) continue;
          expect(worlds.session.serves).toBeGreaterThanOrEqual(twoRoundsAgo);
          for (const one of TYPE_ORDER) {
            for (const name of NAMES) expect(worlds.session.client.proof(one, name, twoRoundsAgo)).toBe('held');
          }
        }
      }),
      { numRuns: 300 },
    );
  });
});

const withoutBitter = (resources: Readonly<Record<string, string>>): Record<string, string> =>
  Object.fromEntries(Object.entries(resources).filter(([, version]) => !isBitter(version)));
