/** Who gets no calls because its sidecar is silent, and who is spared. */
import { describe, expect, it } from 'vitest';
import { expire, type Standing } from './expiry.js';

const standing = (id: string, state: Standing['state'], more: Partial<Standing> = {}): Standing => ({
  id,
  health: 'Healthy',
  reported: 'Healthy',
  state,
  since: 0,
  ...more,
});
const many = (count: number, state: Standing['state']) =>
  Array.from({ length: count }, (_, index) => standing(`w${String(index).padStart(3, '0')}`, state, { since: index }));

describe('silence', () => {
  it('costs the lost their calls, and nobody else', () => {
    const standings = [standing('a', 'lost'), standing('b', 'disconnected'), standing('c', 'connected')];
    expect(expire(standings)).toEqual({ changes: [{ id: 'a', health: 'Unhealthy' }], expired: ['a'], spared: [] });
  });

  it.each([
    [1, 1],
    [3, 2],
    [8, 2],
    [12, 3],
    [100, 25],
  ])('of all %s at once costs %s of them their calls, those that have been silent for longest', (count, most) => {
    const { changes, expired, spared } = expire(many(count, 'lost'));
    expect(changes).toHaveLength(most);
    expect(expired).toEqual(many(most, 'lost').map(({ id }) => id));
    expect(expired.length + spared.length).toBe(count);
  });

  it('costs no more for being looked at again', () => {
    const first = expire(many(100, 'lost'));
    const fallen = new Set(first.expired);
    const then = many(100, 'lost').map((one) => (fallen.has(one.id) ? { ...one, health: 'Unhealthy' as const } : one));
    expect(expire(then)).toEqual({ ...first, changes: [] });
  });

  it('that ends gives back what it took, as far as it is known', () => {
    const given = (more: Partial<Standing>) => expire([standing('a', 'connected', { health: 'Unhealthy', ...more })]);
    expect(given({}).changes).toEqual([{ id: 'a', health: 'Healthy' }]);
    expect(given({ reported: 'Draining' }).changes).toEqual([{ id: 'a', health: 'Draining' }]);
    expect(given({ reported: 'Unhealthy' }).changes).toEqual([]);
    const { reported: _, ...unknown } = standing('a', 'connected', { health: 'Unhealthy' });
    expect(expire([unknown]).changes).toEqual([]);
  });
});
