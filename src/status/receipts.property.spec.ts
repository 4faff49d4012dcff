/** Whatever writers, sidecars and the network do, in whatever order: a receipt tells the truth, every wait ends, and nobody is forgotten. */
import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { anyEdit } from '../../test/support/arbitrary-mesh.js';
import { LEASE_MS, ModelPlane, type Sidecar } from '../../test/support/model-plane.js';
import { Compiler } from '../compile/compiler.js';
import { TYPE_ORDER, TYPES, USERS } from '../compile/resource.js';
import type { Receipt } from './receipt.js';

const SIDECARS = ['shop/web', 'shop/cart-v1', 'front/job'];
const NAMES = ['cart.shop:80', 'cart-v1.shop:80', 'web.front:80', 'cart.shop:8080', 'inbound/shop/cart-v1'];
const LONGEST_WAIT_MS = 5_000;

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
  { weight: 2, arbitrary: who.map((sidecar) => ({ drop: sidecar })) },
  { weight: 3, arbitrary: who.map((sidecar) => ({ connect: sidecar })) },
  { weight: 1, arbitrary: fc.constant({ evict: 2 }) },
  { weight: 3, arbitrary: fc.record({ wait: fc.nat(5), lost: fc.constantFrom('ignore' as const, 'count' as const) }) },
  { weight: 6, arbitrary: fc.constant({ slice: true as const }) },
  { weight: 5, arbitrary: fc.constantFrom(0, 1, 12, 60, LEASE_MS).map((ms) => ({ pass: ms })) },
);

/** Holds a receipt against what each sidecar really has. */
function expectTrue(plane: ModelPlane, sidecars: readonly Sidecar[], receipt: Receipt): void {
  const effect = plane.ring.of(receipt.revision);
  if (!effect || receipt.sequence === undefined) return;
  expect(receipt.affected).toBeGreaterThanOrEqual(receipt.serving);
  const named = [...receipt.laggards, ...receipt.lost].map(({ proxy }) => proxy);
  for (const sidecar of sidecars) {
    if (named.includes(sidecar.id)) continue;
    for (const [type, names] of effect.names) {
      for (const name of names) {
        if (!sidecar.wantedOf(type).has(name) || (name.startsWith('inbound/') && !name.endsWith(sidecar.id))) continue;
        const held = sidecar.heldOf(type).get(name);
        const message = `revision ${receipt.revision}: ${sidecar.id} is not named, and holds ${held} of ${type} ${name}`;
        expect(plane.isInForce(type, name, held, effect.sequence), message).toBe(true);
      }
    }
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
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 60 }), async (steps) => {
        const plane = new ModelPlane(true);
        const sidecars = SIDECARS.map((id, index) => plane.join(id, index === 1));
        const waits: { over: boolean }[] = [];
        let evicted: Sidecar | undefined;
        for (const sidecar of sidecars) sidecar.connect();
        const wait = (revision: number, lost: 'ignore' | 'count'): void => {
          const one = { over: false };
          waits.push(one);
          // What it says is judged below, where nothing else can happen between the receipt and the judgement.
          const end = (): void => {
            one.over = true;
          };
          plane.receipts.wait(revision, { target: { percent: 100 }, lost }, LONGEST_WAIT_MS).then(end, end);
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
            const revision = plane.revisions.length - action.wait;
            if (revision > 0) wait(revision, action.lost);
          } else if ('slice' in action) await vi.advanceTimersToNextTimerAsync();
          else await vi.advanceTimersByTimeAsync(action.pass);
          for (const { number } of plane.revisions.slice(-4)) {
            expectTrue(plane, sidecars, await plane.receipts.now(number));
          }
        }

        // Quiet: everybody who may comes back and answers all that it is told.
        for (const sidecar of sidecars) if (sidecar !== evicted) sidecar.connect();
        for (let turn = 0; turn < 60; turn += 1) {
          await vi.advanceTimersByTimeAsync(60);
          for (const sidecar of sidecars) while (sidecar.inbox.length > 0) sidecar.answer(0);
        }
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
              const isForeign = type === TYPES.listener && name.startsWith('inbound/') && !name.endsWith(sidecar.id);
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
      }),
      { numRuns: 1_000 },
    );
  }, 120_000);
});
