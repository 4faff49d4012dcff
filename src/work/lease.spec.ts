/** Who may do the work that only one may do, as two who want to see it. */
import { beforeEach, describe, expect, it } from 'vitest';
import { ProcessLeases, type Leases } from './lease.js';

let a: Leases;
let b: Leases;
beforeEach(() => {
  const shared = new ProcessLeases();
  a = shared.as('a');
  b = shared.as('b');
});

describe('a lease', () => {
  it('is had by one, who keeps it by asking again', async () => {
    const fence = await a.acquire('expiry');
    expect(fence).toBeDefined();
    expect(await b.acquire('expiry')).toBeUndefined();
    expect(await a.acquire('expiry')).toBe(fence);
    expect(a.isHeld('expiry', fence ?? 0)).toBe(true);
    // Whoever is handed a write can tell as well as its holder.
    expect(b.isHeld('expiry', fence ?? 0)).toBe(true);
  });

  it('of one work says nothing of another', async () => {
    expect(await a.acquire('expiry')).toBeDefined();
    expect(await b.acquire('membership')).toBeDefined();
  });

  it('changes hands with a larger fence, by which the one before is known to have lost it', async () => {
    const before = (await a.acquire('expiry')) ?? 0;
    a.release('expiry', before);
    const after = (await b.acquire('expiry')) ?? 0;
    expect(after).toBeGreaterThan(before);
    expect([a.isHeld('expiry', before), b.isHeld('expiry', after)]).toEqual([false, true]);
    expect(await a.acquire('expiry')).toBeUndefined();
  });

  it('is not let go by somebody who has lost it', async () => {
    const before = (await a.acquire('expiry')) ?? 0;
    a.release('expiry', before);
    const after = (await b.acquire('expiry')) ?? 0;
    a.release('expiry', before);
    expect(b.isHeld('expiry', after)).toBe(true);
    expect(await a.acquire('expiry')).toBeUndefined();
  });

  it('has a new fence after a time in which nobody had it, even for the same holder', async () => {
    const before = (await a.acquire('expiry')) ?? 0;
    a.release('expiry', before);
    expect(a.isHeld('expiry', before)).toBe(false);
    expect(await a.acquire('expiry')).toBeGreaterThan(before);
  });
});
