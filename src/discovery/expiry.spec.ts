/** Who gets no calls because its sidecar is silent, and who is spared. */
import { describe, expect, it } from 'vitest';
import { expire, type Expiry, type Standing } from './expiry.js';

const standing = (id: string, state: Standing['state'], more: Partial<Standing> = {}): Standing => ({
  ...{ id, state, health: 'Healthy', reported: 'Healthy', since: 0, services: [] },
  ...more,
});
const many = (count: number, state: Standing['state'], more: Partial<Standing> = {}) =>
  Array.from({ length: count }, (_, index) =>
    standing(`${more.services?.[0] ?? 'w'}-${state}-${String(index).padStart(3, '0')}`, state, {
      since: index,
      ...more,
    }),
  );

/** How they stand when the mesh is as an expiry has it. */
const after = (standings: readonly Standing[], { changes }: Expiry): Standing[] =>
  standings.map((one) => {
    const change = changes.find(({ id }) => id === one.id);
    if (!change) return one;
    return { ...one, health: change.health, ...(change.health === 'Unhealthy' && { expiredAt: 0 }) };
  });
/** The same a while later. */
const later = (standings: readonly Standing[]): Standing[] => standings.map(({ expiredAt: _, ...one }) => one);

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
    [99, 25],
  ])('of %s at once, while one is heard of, costs %s of them their calls, those silent for longest', (count, most) => {
    const { changes, expired, spared } = expire([...many(count, 'lost'), standing('heard', 'connected')]);
    expect(changes).toHaveLength(most);
    expect(expired).toEqual(
      many(count, 'lost')
        .slice(0, most)
        .map(({ id }) => id),
    );
    expect(expired.length + spared.length).toBe(count);
  });

  it('of one that was saying goodbye takes nothing from anybody, and it is not called', () => {
    const gone = standing('a', 'lost', { health: 'Draining', reported: 'Draining' });
    for (const others of [[], many(3, 'lost'), many(3, 'connected')]) {
      const standings = [gone, ...others];
      const first = expire(standings);
      expect(first.spared).not.toContain('a');
      expect(first.changes).toContainEqual({ id: 'a', health: 'Unhealthy' });
      const second = expire(after(standings, first));
      expect(second.changes.filter(({ id }) => id === 'a')).toEqual([]);
      expect(second.spared).not.toContain('a');
    }
  });

  it.each([1, 2, 100])('of all %s costs nobody anything: it is the control plane that is deaf', (count) => {
    expect(expire(many(count, 'lost'))).toMatchObject({ changes: [], expired: [] });
    expect(expire(many(count, 'lost')).spared).toHaveLength(count);
  });

  it('of all that stand behind a service costs them nothing, however large the mesh', () => {
    const cart = many(10, 'lost', { services: ['shop/cart'] });
    expect(expire([...cart, ...many(90, 'connected', { services: ['shop/web'] })])).toMatchObject({ expired: [] });
  });

  it('costs a service at most half of those who are called there, and each of its services counts', () => {
    const cart = many(6, 'lost', { services: ['shop/cart'] });
    const heard = many(2, 'connected', { services: ['shop/cart'] });
    expect(expire([...cart, ...heard, ...many(90, 'connected')]).expired).toHaveLength(4);
    const asWell = cart.map((one) => ({ ...one, services: ['shop/cart', 'shop/cart-v1'] }));
    expect(expire([...asWell, ...heard, ...many(90, 'connected')]).expired).toHaveLength(0);
  });

  it('costs nobody their calls for whom only one could step in that takes none itself', () => {
    const cart = [standing('a', 'lost', { services: ['shop/cart'] })];
    const ill = standing('b', 'connected', { services: ['shop/cart'], health: 'Unhealthy', reported: 'Unhealthy' });
    expect(expire([...cart, ill, ...many(20, 'connected')])).toMatchObject({ expired: [], spared: ['a'] });
  });

  it('costs no more for being looked at again, and the next share when a while has gone by', () => {
    const standings = [...many(99, 'lost'), standing('heard', 'connected')];
    const first = expire(standings);
    const then = after(standings, first);
    expect(expire(then)).toEqual({ ...first, changes: [] });
    expect(expire(later(then)).changes).toHaveLength(18);
  });

  it('of those that have died one by one takes no place from those that die later', () => {
    const corpses = many(40, 'lost', { health: 'Unhealthy' });
    const standings = [...corpses, ...many(60, 'connected'), standing('the next', 'lost', { since: 1_000 })];
    expect(expire(standings)).toMatchObject({ changes: [{ id: 'the next', health: 'Unhealthy' }], spared: [] });
  });

  it('that turns out to be that of everybody gives back what it has just taken', () => {
    const standings = [...many(2, 'lost', { services: ['s'] }), ...many(2, 'connected', { services: ['s'] })];
    const first = after(standings, expire(standings));
    const deaf = first.map((one) => ({ ...one, state: 'lost' as const }));
    const taken = deaf.filter(({ health }) => health === 'Unhealthy');
    expect(taken).toHaveLength(2);
    expect(expire(deaf).changes).toEqual(taken.map(({ id }) => ({ id, health: 'Healthy' })));
    expect(expire(after(deaf, expire(deaf)))).toMatchObject({ changes: [], expired: [] });
    // One that restarts is no sign of deafness.
    const restarting = deaf.map((one) => (one.health === 'Healthy' ? { ...one, state: 'disconnected' as const } : one));
    expect(expire(restarting).changes).toEqual([]);
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
