/** Who there is, and whether he is there. */
import { describe, expect, it, vi } from 'vitest';
import { HeldPlane } from '../../test/support/held-plane.js';
import { LEASE_MS } from '../../test/support/model-plane.js';

const held = HeldPlane.forEach();

describe('the fleet', () => {
  it('is who has joined: there, away, or lost; those that were turned out are not listed', async () => {
    const states = () => held.plane.fleet.proxies().map(({ id, state }) => `${id} ${state}`);
    const [b, a] = [held.plane.join('shop/b'), held.plane.join('shop/a')];
    b.connect();
    expect(states()).toEqual(['shop/a disconnected', 'shop/b connected']);
    await vi.advanceTimersByTimeAsync(LEASE_MS);
    expect(states()).toEqual(['shop/a lost', 'shop/b connected']);
    held.plane.fleet.heard('shop/a');
    expect(held.plane.fleet.attendance('shop/a').state).toBe('disconnected');
    held.plane.evict(a);
    expect(states()).toEqual(['shop/b connected']);
    expect(held.plane.fleet.named('shop/a')).toBeUndefined();
  });

  it('is read page by page', () => {
    for (const name of ['d', 'a', 'c', 'b']) held.plane.join(`shop/${name}`);
    const first = held.plane.fleet.page('', 3);
    expect(first.proxies.map(({ id }) => id)).toEqual(['shop/a', 'shop/b', 'shop/c']);
    expect(first.more).toBe(true);
    expect(held.plane.fleet.page('shop/c', 3)).toMatchObject({ proxies: [{ id: 'shop/d' }], more: false });
  });
});
