/** Work that keeps the world as it should be: when it looks, what it does of what it finds, and what keeps it from that. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ProcessLeases, type Leases } from './lease.js';
import { Loop, type Reconciler } from './reconciler.js';

const EVERY_MS = 1_000;

/** A world of names that ought not to be there; each wish takes one away. */
class Weeds implements Reconciler<readonly string[], string> {
  readonly name = 'weeds';
  readonly there = new Set<string>();
  looks = 0;
  acts: string[] = [];
  /** Kept by the test: acting waits for it. */
  gate: Promise<unknown> = Promise.resolve();
  refuses: string | undefined;
  lookFails = false;

  look(): readonly string[] {
    this.looks += 1;
    if (this.lookFails) throw new Error('it is dark');
    return [...this.there];
  }

  decide(world: readonly string[]): readonly string[] {
    return world;
  }

  async act(weed: string): Promise<void> {
    this.acts.push(weed);
    await this.gate;
    if (weed === this.refuses) throw new Error(`${weed} holds on`);
    this.there.delete(weed);
  }
}

let shared: ProcessLeases;
let weeds: Weeds;
let failures: string[];
let loops: Loop<readonly string[], string>[];
beforeEach(() => {
  vi.useFakeTimers();
  shared = new ProcessLeases();
  weeds = new Weeds();
  failures = [];
  loops = [];
});
afterEach(async () => {
  await Promise.all(loops.map((loop) => loop.close()));
  vi.useRealTimers();
});

function loopOf(leases: Leases = shared.as('this server')) {
  const onFailure = (error: unknown) => void failures.push((error as Error).message);
  const loop = new Loop(weeds, { everyMs: EVERY_MS, leases, onFailure });
  loops.push(loop);
  return loop;
}

/** All that can go on without time going on. */
const settled = () => vi.advanceTimersByTimeAsync(0);

describe('a loop', () => {
  it('looks at intervals, and finds what nobody told it of', async () => {
    loopOf();
    weeds.there.add('nettle');
    await vi.advanceTimersByTimeAsync(EVERY_MS - 1);
    expect(weeds.looks).toBe(0);
    await vi.advanceTimersByTimeAsync(1);
    expect(weeds.there.size).toBe(0);
    await vi.advanceTimersByTimeAsync(3 * EVERY_MS);
    expect(weeds.looks).toBe(4);
    expect(weeds.acts).toEqual(['nettle']);
  });

  it('looks soon after a nudge, when whoever gave it is done: once for all that were given meanwhile', async () => {
    const loop = loopOf();
    loop.nudge();
    loop.nudge();
    weeds.there.add('nettle');
    expect(weeds.looks).toBe(0);
    await settled();
    expect([weeds.looks, weeds.there.size]).toEqual([1, 0]);
  });

  it('never does two things at the same time, and looks again for what came while it was busy', async () => {
    const loop = loopOf();
    const gate = Promise.withResolvers<void>();
    weeds.gate = gate.promise;
    weeds.there.add('nettle').add('thistle');
    loop.nudge();
    await settled();
    loop.nudge();
    weeds.there.add('dock');
    await vi.advanceTimersByTimeAsync(5 * EVERY_MS);
    expect([weeds.looks, weeds.acts]).toEqual([1, ['nettle']]);
    gate.resolve();
    await settled();
    expect(weeds.looks).toBe(2);
    expect(weeds.acts).toEqual(['nettle', 'thistle', 'dock']);
  });

  it('misses no nudge, at whatever moment of its turn that is given', async () => {
    const loop = loopOf();
    for (let moment = 0; moment < 20; moment += 1) {
      const before = weeds.looks;
      loop.nudge();
      for (let passed = 0; passed < moment; passed += 1) await Promise.resolve();
      weeds.there.add('nettle');
      loop.nudge();
      await settled();
      expect([moment, weeds.there.size]).toEqual([moment, 0]);
      expect(weeds.looks - before).toBeLessThanOrEqual(2);
    }
  });

  it('carries out the rest when one thing fails, says so, and comes back to it', async () => {
    const loop = loopOf();
    weeds.there.add('nettle').add('thistle');
    weeds.refuses = 'nettle';
    loop.nudge();
    await settled();
    expect([...weeds.there]).toEqual(['nettle']);
    expect(failures).toEqual(['nettle holds on']);
    weeds.refuses = undefined;
    await vi.advanceTimersByTimeAsync(EVERY_MS);
    expect(weeds.there.size).toBe(0);
    expect(failures).toHaveLength(1);
  });

  it('survives a look that fails', async () => {
    const loop = loopOf();
    weeds.there.add('nettle');
    weeds.lookFails = true;
    loop.nudge();
    await settled();
    expect([failures, weeds.acts]).toEqual([['it is dark'], []]);
    weeds.lookFails = false;
    await vi.advanceTimersByTimeAsync(EVERY_MS);
    expect(weeds.there.size).toBe(0);
  });

  it('is settled when all that a look found has been seen to', async () => {
    const loop = loopOf();
    weeds.there.add('nettle').add('thistle');
    await loop.settle();
    expect(weeds.there.size).toBe(0);
  });

  it('begins nothing after it was closed, and is closed when what was under way is done', async () => {
    const loop = loopOf();
    const gate = Promise.withResolvers<void>();
    weeds.gate = gate.promise;
    weeds.there.add('nettle');
    loop.nudge();
    await settled();
    let isClosed = false;
    const closing = loop.close().then(() => (isClosed = true));
    await vi.advanceTimersByTimeAsync(3 * EVERY_MS);
    expect(isClosed).toBe(false);
    gate.resolve();
    await closing;
    weeds.there.add('dock');
    loop.nudge();
    await vi.advanceTimersByTimeAsync(3 * EVERY_MS);
    expect(weeds.acts).toEqual(['nettle']);
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe('a lease', () => {
  it('is needed for a look; with it, another goes on where the first has stopped', async () => {
    const other = shared.as('another server');
    const fence = (await other.acquire('weeds')) ?? 0;
    const loop = loopOf();
    weeds.there.add('nettle');
    await loop.settle();
    expect(weeds.looks).toBe(0);
    other.release('weeds', fence);
    await vi.advanceTimersByTimeAsync(EVERY_MS);
    expect(weeds.there.size).toBe(0);
    expect(failures).toEqual([]);
  });

  it('that is lost in the middle of the work ends it, before anything else is done under it', async () => {
    const own = shared.as('this server');
    const loop = loopOf(own);
    const gate = Promise.withResolvers<void>();
    weeds.gate = gate.promise;
    weeds.there.add('nettle').add('thistle');
    loop.nudge();
    await settled();
    own.release('weeds', (await own.acquire('weeds')) ?? 0);
    await shared.as('another server').acquire('weeds');
    gate.resolve();
    await vi.advanceTimersByTimeAsync(3 * EVERY_MS);
    expect(weeds.acts).toEqual(['nettle']);
    expect([...weeds.there]).toEqual(['thistle']);
  });

  it('that cannot be asked for keeps the work from being done, and is asked for again', async () => {
    let isReachable = false;
    const own = shared.as('this server');
    const flaky: Leases = {
      acquire: (work) => (isReachable ? own.acquire(work) : Promise.reject(new Error('nobody gives out leases'))),
      isHeld: (work, fence) => own.isHeld(work, fence),
      release: (work, fence) => own.release(work, fence),
    };
    const loop = loopOf(flaky);
    weeds.there.add('nettle');
    await loop.settle();
    expect([failures, weeds.looks]).toEqual([['nobody gives out leases'], 0]);
    isReachable = true;
    await vi.advanceTimersByTimeAsync(EVERY_MS);
    expect(weeds.there.size).toBe(0);
  });
});
