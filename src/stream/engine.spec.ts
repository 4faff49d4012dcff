/** When worlds are compiled, whom it is told of, and what becomes of one that cannot be compiled. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { aService, aSplit, aWorkload, putting, removing } from '../../test/support/model-documents.js';
import { ModelPlane } from '../../test/support/model-plane.js';
import type { Sidecar } from '../../test/support/model-sidecar.js';
import { Compiler } from '../compile/compiler.js';
import { TYPES, TYPE_ORDER, type TypeUrl } from '../compile/resource.js';
import { emptyMesh, type Mesh } from '../model/mesh.js';
import { Engine, type Published } from './engine.js';

const CART = 'cart.shop:80';

describe('the engine', () => {
  let plane: ModelPlane;
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setImmediate', 'clearImmediate', 'Date'] });
    plane = new ModelPlane();
  });
  afterEach(() => {
    plane.close();
    vi.useRealTimers();
  });
  const connected = (id: string, ...names: readonly string[]): Sidecar => {
    const sidecar = plane.join(id);
    sidecar.connect();
    for (const type of [TYPES.listener, TYPES.route]) sidecar.ask(type, names, []);
    while (sidecar.inbox.length > 0) sidecar.answer(0);
    return sidecar;
  };
  const heard = ({ inbox }: Sidecar) =>
    inbox.flatMap(({ resources, removed }) => [
      ...resources.map(({ name }) => name),
      ...removed.map((name) => `-${name}`),
    ]);

  it('tells of a change at once, and then gathers', async () => {
    const web = connected('shop/web', CART);
    plane.write(putting(aService('cart')));
    expect(heard(web)).toEqual([CART, CART]);
    while (web.inbox.length > 0) web.answer(0);
    plane.write(putting(aSplit('cart', 'cart', { v1: 1 })));
    plane.write(putting(aSplit('cart', 'cart', { v1: 1, v2: 1 })));
    expect(heard(web)).toEqual([]);
    await vi.advanceTimersByTimeAsync(10);
    expect(heard(web)).toEqual([CART]);
    expect(plane.ring.head).toBe(3);
  });

  it('looks at nobody whom a change does not concern', () => {
    const [web, job] = [connected('shop/web', CART), connected('shop/job', 'other.shop:80')];
    const told = vi.spyOn(job.session as object as { tell(): void }, 'tell');
    plane.write(putting(aService('cart')));
    expect(heard(web)).not.toEqual([]);
    expect(told).not.toHaveBeenCalled();
    expect(job.session?.serves).toBe(plane.engine.table.sequence);
  });

  it('hears nothing from a session that has not been told what the table shows', async () => {
    plane.close();
    plane = new ModelPlane(true);
    const [first, second] = [connected('shop/a', CART), connected('shop/b', CART)];
    plane.write(putting(aService('cart')));
    // As far as the first session of the two.
    for (let turn = 0; heard(first).length + heard(second).length === 0; turn += 1) {
      expect(turn).toBeLessThan(100);
      await vi.advanceTimersToNextTimerAsync();
    }
    const late = heard(first).length === 0 ? first : second;
    // It asks for something else, and is told of that alone if it is not caught up.
    late.ask(TYPES.cluster, ['other.shop:80'], []);
    expect(heard(late)).toEqual(['-other.shop:80', CART, CART]);
    late.answer(0);
    expect(late.session?.client.proof(TYPES.route, CART, plane.engine.table.sequence)).toBe('pending');
  });

  describe('with a service of two identities, of which one goes', () => {
    const [cart, other] = [aWorkload('cart'), aWorkload('other', '10.0.0.7', 'cart')];
    beforeEach(async () => {
      plane.close();
      plane = new ModelPlane(true);
      plane.write(putting(aService('cart')));
      plane.report(putting(cart, other));
      await vi.advanceTimersByTimeAsync(100);
    });
    const asking = (...types: readonly TypeUrl[]): Sidecar => {
      const web = plane.join('shop/web');
      web.connect();
      for (const type of types) web.ask(type, [CART], []);
      while (web.inbox.length > 0) web.answer(0);
      return web;
    };
    /** Whether the identity is still good for calls of callers that may not have been told yet that it went. */
    const isLingering = (): boolean => {
      const whole = new Compiler('sluice', 'sluice.local');
      whole.rebuild(plane.worlds.current);
      const [now, then] = [plane.engine.table, whole].map((table) => table.get(TYPES.cluster, CART)?.version);
      return now !== then;
    };

    it('lets that linger until its callers have been told, also when it is at work just then', async () => {
      const web = asking(TYPES.cluster, TYPES.endpoints);
      plane.report(removing(other));
      await vi.advanceTimersByTimeAsync(100);
      expect(isLingering()).toBe(true);
      while (web.inbox.length > 0) web.answer(0);
      // It looks 50 ms later, and has so much to do by then that it is not done.
      await vi.advanceTimersByTimeAsync(35);
      for (let made = 0; made < 30; made += 1) plane.write(putting(aService('unseen', 80 + made)));
      await vi.advanceTimersByTimeAsync(200);
      expect(isLingering()).toBe(false);
    });

    it('lets that go though somebody answers nothing who does not ask for it', async () => {
      const [web, mute] = [asking(TYPES.cluster, TYPES.endpoints), connected('shop/mute', 'unseen.shop:80')];
      plane.write(putting(aService('unseen')));
      plane.report(removing(other));
      await vi.advanceTimersByTimeAsync(200);
      while (web.inbox.length > 0) web.answer(0);
      await vi.advanceTimersByTimeAsync(200);
      expect(heard(mute)).not.toEqual([]);
      expect(isLingering()).toBe(false);
    });

    it('lets it linger while somebody has a stream who may not have been told, and has said nothing yet', async () => {
      const [web, job] = [asking(TYPES.cluster, TYPES.endpoints), plane.join('shop/job')];
      job.open();
      plane.report(removing(other));
      await vi.advanceTimersByTimeAsync(100);
      while (web.inbox.length > 0) web.answer(0);
      await vi.advanceTimersByTimeAsync(200);
      expect(isLingering()).toBe(true);
      while (job.introduce());
      await vi.advanceTimersByTimeAsync(200);
      expect(isLingering()).toBe(false);
    });
  });

  it('gives a sidecar its own listener, by name or by wildcard, and that of no other', () => {
    plane.report(putting(aWorkload('web'), aWorkload('cart')));
    const web = connected('shop/web');
    web.ask(TYPES.listener, ['*', 'inbound/shop/cart:9000'], []);
    expect(heard(web).sort()).toEqual(['-inbound/shop/cart:9000', 'inbound/shop/web:9000']);
    while (web.inbox.length > 0) web.answer(0);
    plane.report(putting(aWorkload('cart', '10.0.0.7')));
    expect(heard(web)).toEqual([]);
  });

  it('keeps to what it published last when a mesh cannot be compiled, says so, and catches up with the next that can', () => {
    const failures: unknown[] = [];
    const published: Published[] = [];
    const engine = new Engine(new Compiler('sluice', 'sluice.local'), (error) => failures.push(error), {
      now: Date.now,
      elapsed: () => 0,
    });
    engine.onPublished((one) => published.push(one));
    const mesh = emptyMesh('sluice.local');
    expect(() => engine.open('shop/a', TYPE_ORDER)).toThrow('no world has been published yet');
    engine.start({ sequence: 1, revision: 1, mesh });
    /** No door lets such a mesh in; should one, it must not take the server with it. */
    const impossible = {
      ...mesh,
      Workload: new Map([['shop/a', { ...aWorkload('a'), spec: null }]]),
    } as unknown as Mesh;
    const step = (sequence: number, of: Mesh) => ({
      world: { sequence, revision: sequence, mesh: of },
      changes: [{ ref: { kind: 'Workload' as const, namespace: 'shop', name: 'a' } }],
      revisions: [{ number: sequence, author: '', comment: '', at: '', changes: [] }],
    });
    engine.publish(step(2, impossible));
    expect(failures).toHaveLength(1);
    expect(engine.fault).toContain('revision 2 could not be compiled');
    expect(engine.table.sequence).toBe(1);
    vi.advanceTimersByTime(10);
    engine.publish(step(3, mesh));
    expect(engine.fault).toBeUndefined();
    expect(published.at(-1)?.steps.flatMap(({ revisions }) => revisions.map(({ number }) => number))).toEqual([2, 3]);
    engine.shutDown();
  });
});
