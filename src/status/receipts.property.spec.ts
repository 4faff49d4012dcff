/** Whatever writers, sidecars and the network do, in whatever order: a receipt tells the truth, every wait ends, and nobody is forgotten. */
import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { anyEdit } from '../../test/support/arbitrary-mesh.js';
import { LEASE_MS, ModelPlane, type Sidecar } from '../../test/support/model-plane.js';
import { Compiler } from '../compile/compiler.js';
import { TYPE_ORDER, USERS } from '../compile/resource.js';
import { mayHave } from '../stream/scope.js';
import { isHopeless, isMet, type LostMode, type Receipt, type Target } from './receipt.js';

const SIDECARS = ['shop/web', 'shop/cart-v1', 'front/job'];
const NAMES = ['cart.shop:80', 'cart-v1.shop:80', 'web.front:80', 'cart.shop:8080', 'inbound/shop/cart-v1:9000'];
/** Much longer than anything that is waited for. */
const LONGEST_WAIT_MS = 600_000;
/** More than it takes to publish what waits, to answer that, and to look at what came of it. */
const REST_MS = 300;
const TARGETS: readonly Target[] = [
  { percent: 100 },
  { percent: 100 },
  { percent: 50 },
  { proxies: 1 },
  { proxies: 2 },
];

const who = fc.nat(SIDECARS.length - 1);
const step = fc.oneof(
  { weight: 5, arbitrary: anyEdit.map((edit) => ({ write: edit })) },
  { weight: 2, arbitrary: anyEdit.map((edit) => ({ report: edit })) },
  {
    weight: 3,
    arbitrary: fc.record({
      ask: who,
      type: fc.constantFrom(...TYPE_ORDER),
      add: fc.subarray(NAMES),
      drop: fc.subarray(NAMES),
    }),
  },
  { weight: 9, arbitrary: fc.record({ answer: who, index: fc.nat(3) }) },
  { weight: 3, arbitrary: who.map((sidecar) => ({ drop: sidecar })) },
  { weight: 3, arbitrary: who.map((sidecar) => ({ connect: sidecar })) },
  { weight: 2, arbitrary: fc.constant({ evict: 2 }) },
  {
    weight: 5,
    arbitrary: fc.record({
      wait: fc.nat(5),
      target: fc.constantFrom(...TARGETS),
      lost: fc.constantFrom('ignore' as const, 'count' as const),
    }),
  },
  { weight: 6, arbitrary: fc.constant({ slice: true as const }) },
  { weight: 4, arbitrary: fc.constant({ rest: true as const }) },
  { weight: 5, arbitrary: fc.constantFrom(0, 1, 12, 60, LEASE_MS).map((ms) => ({ pass: ms })) },
);

/** Holds a receipt against what each sidecar really has. */
function expectTrue(plane: ModelPlane, sidecars: readonly Sidecar[], receipt: Receipt): void {
  const { revision, sequence, affected, serving, laggards, lost } = receipt;
  if (sequence === undefined) return;
  expect(affected).toBeGreaterThanOrEqual(serving);
  const changed = plane.namesOf(revision);
  const named = [...laggards, ...lost].map(({ proxy }) => proxy);
  for (const sidecar of sidecars) {
    if (named.includes(sidecar.id)) continue;
    for (const [type, names] of changed) {
      for (const name of names) {
        if (!sidecar.wantedOf(type).has(name) || !mayHave(sidecar.id, name)) continue;
        const held = sidecar.heldOf(type).get(name);
        const message = `revision ${revision}: ${sidecar.id} is not named, and holds ${held} of ${type} ${name}`;
        expect(plane.isInForce(type, name, held, sequence), message).toBe(true);
      }
    }
  }
  for (const { proxy, reason, detail } of laggards) {
    const refused = /^it refused (.+): it is not to its taste$/.exec(detail)?.[1];
    const isDue = refused !== undefined && plane.concerns(revision, refused);
    if (reason === 'refused') expect(isDue, `revision ${revision} changed what ${proxy} refuses: ${detail}`).toBe(true);
  }
}

/** Somebody who waits. */
interface Wait {
  readonly revision: number;
  readonly target: Target;
  readonly lost: LostMode;
  over: boolean;
}

/** Whoever has a stream answers all that it is told, until there is nothing to say; whoever has none is given up. */
async function comeToRest(sidecars: readonly Sidecar[]): Promise<void> {
  for (let left = LEASE_MS + REST_MS; left > 0; left -= 60) {
    for (const sidecar of sidecars) while (sidecar.inbox.length > 0) sidecar.answer(0);
    await vi.advanceTimersByTimeAsync(60);
  }
}

/** Nobody waits for what is so already, or can never be; nor for anybody who is lost, unless that was asked for. */
async function expectNoneWaitsInVain(plane: ModelPlane, waits: readonly Wait[]): Promise<void> {
  for (const { revision, target, lost } of waits.filter(({ over }) => !over)) {
    const receipt = await plane.receipts.now(revision, lost);
    const refused = receipt.laggards.filter(({ reason }) => reason === 'refused').length;
    const isInVain = isMet(receipt, target) || isHopeless({ receipt, refused, hasAbsent: false }, target);
    expect(isInVain, `somebody waits for ${JSON.stringify(target)} of ${JSON.stringify(receipt)}`).toBe(false);
    const mustEnd = lost === 'ignore' && 'percent' in target;
    expect(mustEnd, `somebody waits for who is lost: ${JSON.stringify(receipt)}`).toBe(false);
  }
}

describe('receipts', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setImmediate', 'clearImmediate', 'Date'] });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it('are true, come to an end, and leave everybody with what the mesh compiles to', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.boolean(),
        fc.array(step, { minLength: 5, maxLength: 60, size: 'max' }),
        async (isGreedy, steps) => {
          const plane = new ModelPlane(true);
          const sidecars = SIDECARS.map((id, index) => plane.join(id, index === 1));
          const waits: Wait[] = [];
          let evicted: Sidecar | undefined;
          for (const sidecar of sidecars) sidecar.connect();
          // Otherwise they know nothing at first, and much of what is written concerns nobody.
          if (isGreedy) for (const sidecar of sidecars) for (const type of TYPE_ORDER) sidecar.ask(type, NAMES, []);
          const wait = (revision: number, target: Target, lost: LostMode): void => {
            const one = { revision, target, lost, over: false };
            waits.push(one);
            // What it says is judged below, where nothing else can happen between the receipt and the judgement.
            const end = (): void => {
              one.over = true;
            };
            plane.receipts.wait(revision, { target, lost }, LONGEST_WAIT_MS).then(end, end);
          };
          for (const action of steps) {
            if ('write' in action) plane.write(action.write);
            else if ('report' in action) plane.report(action.report);
            else if ('ask' in action) sidecars[action.ask]?.ask(action.type, action.add, action.drop);
            else if ('answer' in action) sidecars[action.answer]?.answer(action.index);
            else if ('drop' in action) sidecars[action.drop]?.disconnect();
            else if ('connect' in action) {
              const sidecar = sidecars[action.connect];
              if (sidecar !== evicted) sidecar?.connect();
            } else if ('evict' in action) {
              evicted = sidecars[action.evict];
              if (evicted) plane.evict(evicted);
            } else if ('wait' in action) {
              const { length } = plane.revisions;
              if (length > 0) wait(length - (action.wait % length), action.target, action.lost);
            } else if ('rest' in action) {
              await comeToRest(sidecars);
              await expectNoneWaitsInVain(plane, waits);
            } else if ('slice' in action) await vi.advanceTimersToNextTimerAsync();
            else await vi.advanceTimersByTimeAsync(action.pass);
            for (const { number } of plane.revisions.slice(-4)) {
              expectTrue(plane, sidecars, await plane.receipts.now(number));
            }
          }

          // Quiet: everybody who may comes back and answers all that it is told.
          for (const sidecar of sidecars) if (sidecar !== evicted) sidecar.connect();
          for (let turn = 0; turn < 3; turn += 1) await comeToRest(sidecars);
          await expectNoneWaitsInVain(plane, waits);
          await vi.advanceTimersByTimeAsync(LONGEST_WAIT_MS);
          expect(waits.filter(({ over }) => !over)).toEqual([]);

          const whole = new Compiler('sluice', 'sluice.local');
          whole.rebuild(plane.worlds.current);
          for (const sidecar of sidecars) {
            const { client, serves } = sidecar.session ?? {};
            if (!client) continue;
            expect(serves, `${sidecar.id} is up to date`).toBe(plane.engine.table.sequence);
            for (const type of TYPE_ORDER) {
              const isKept = USERS[type].some((user) => client.stateOf(user).refused.size > 0);
              for (const name of sidecar.wantedOf(type)) {
                const isForeign = !mayHave(sidecar.id, name);
                const wanted = isForeign ? undefined : whole.get(type, name);
                if (wanted ? sidecar.refuses(wanted) : isKept) continue;
                expect(sidecar.heldOf(type).get(name), `${sidecar.id} ${type} ${name}`).toBe(wanted?.version);
              }
            }
          }
          for (const { number } of plane.revisions) {
            const receipt = await plane.receipts.now(number);
            expectTrue(plane, sidecars, receipt);
            expect(receipt.laggards.filter(({ reason }) => reason !== 'refused')).toEqual([]);
            expect(receipt.lost.every(({ proxy }) => proxy === evicted?.id)).toBe(true);
          }
          plane.close();
        },
      ),
      { numRuns: 500 },
    );
  }, 120_000);
});
