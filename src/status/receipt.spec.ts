/** What a receipt counts and names, and when a target is met. */
import { describe, expect, it, vi } from 'vitest';
import { ALL, HeldPlane, answerAll, ended, published } from '../../test/support/held-plane.js';
import { aPolicy, aService, aSplit, aWorkload, putting, removing } from '../../test/support/model-documents.js';
import { LEASE_MS } from '../../test/support/model-plane.js';
import { TYPES } from '../compile/resource.js';
import { isMet, type Target } from './receipt.js';

const held = HeldPlane.forEach();

describe('a receipt', () => {
  it('counts those that want what the revision changed, and says why', async () => {
    const web = held.connected('shop/web', 'cart');
    held.connected('shop/job', 'other');
    const revision = held.plane.write(putting(aService('cart')));
    expect(await held.plane.receipts.now(revision)).toMatchObject({
      affected: 1,
      serving: 0,
      laggards: [{ proxy: 'shop/web', reason: 'pending' }],
    });
    answerAll(web);
    expect(await held.plane.receipts.now(revision)).toMatchObject({
      affected: 1,
      serving: 1,
      laggards: [],
      lost: [],
      why: `1 of 1 proxies hold what revision ${revision} changed`,
    });
    await published();
    const unseen = held.plane.write(putting(aService('unseen')));
    expect(await held.plane.receipts.now(unseen)).toMatchObject({
      affected: 0,
      why: `no proxy wants what revision ${unseen} changed`,
    });
  });

  it('is not that of strangers: others may refuse what they like, change what they like, and be as slow as they like', async () => {
    held.plane.write(putting(aService('cart'), aService('other')));
    const [web, slow] = [held.connected('shop/web', 'cart'), held.connected('shop/slow', 'other')];
    await published();
    held.plane.write(putting(aSplit('other', 'other', { v1: 1 })));
    const revision = held.plane.write(putting(aSplit('cart', 'cart', { v1: 1 })));
    await published();
    answerAll(web);
    expect(slow.inbox).not.toEqual([]);
    expect(await ended(held.wait(revision))).toBe('served');
  });

  it('blames a refusal on the change that caused it, and on no later one', async () => {
    held.plane.write(putting(aService('cart'), aService('other')));
    const web = held.connected('shop/web', 'cart', 'other');
    await published();
    web.refuses = ({ name }) => name === 'cart.shop:80';
    const refused = held.plane.write(putting(aSplit('cart', 'cart', { v1: 1 })));
    answerAll(web);
    expect(await ended(held.wait(refused))).toBe('refused-by-proxy');
    expect((await held.plane.receipts.now(refused)).laggards).toMatchObject([
      { proxy: 'shop/web', reason: 'refused', detail: 'it refused cart.shop:80: it is not to its taste' },
    ]);
    await published();
    const other = held.plane.write(putting(aSplit('other', 'other', { v1: 1 })));
    answerAll(web);
    expect(await ended(held.wait(other))).toBe('served');
    expect(await ended(held.wait(1))).toBe('served');
  });

  it('does not count who asks for what is none of its business, there or away', async () => {
    held.plane.report(putting(aWorkload('web')));
    const [web, mallory] = [held.connected('shop/web'), held.connected('shop/mallory')];
    for (const sidecar of [web, mallory]) sidecar.ask(TYPES.listener, ['inbound/shop/web:9000'], []);
    answerAll(web, mallory);
    await published();
    const policy = aPolicy('web', 'nothing');
    const revision = held.plane.write(
      putting({ ...policy, spec: { ...(policy.spec as object), target: { scope: 'Namespace' } } }),
    );
    const waiting = held.wait(revision, { proxies: 1 });
    expect(await ended(waiting)).toBe('waiting');
    expect(await held.plane.receipts.now(revision)).toMatchObject({ affected: 1, serving: 0 });
    mallory.disconnect();
    expect(await held.plane.receipts.now(revision)).toMatchObject({ affected: 1, serving: 0 });
    answerAll(web);
    expect(await ended(waiting)).toBe('served');
  });

  it('is true of who keeps at hand what it refused, once that was taken back', async () => {
    const before = aSplit('cart', 'cart', { v1: 1 });
    held.plane.write(putting(aService('cart'), before));
    const web = held.connected('shop/web', 'cart');
    const first = web.heldOf(TYPES.route).get('cart.shop:80');
    await published();
    web.refuses = ({ version }) => version !== first;
    held.plane.write(putting(aSplit('cart', 'cart', { v2: 1 })));
    answerAll(web);
    await published();
    const waiting = held.wait(held.plane.write(putting(before)));
    await published();
    expect(await ended(waiting)).toBe('waiting');
    answerAll(web);
    expect(await ended(waiting)).toBe('served');
    web.warmUp();
    expect(web.heldOf(TYPES.route).get('cart.shop:80')).toBe(first);
  });

  it('blames a deletion on no refusal of what had nothing to do with it', async () => {
    const other = aService('other');
    held.plane.write(putting(aService('cart'), other));
    const web = held.connected('shop/web', 'cart', 'other');
    for (const type of [TYPES.cluster, TYPES.endpoints]) web.ask(type, ['other.shop:80'], []);
    answerAll(web);
    await published();
    web.refuses = ({ name }) => name === 'cart.shop:80';
    held.plane.write(putting(aSplit('cart', 'cart', { v1: 1 })));
    answerAll(web);
    await published();
    const deletion = held.plane.write(removing(other));
    await published();
    answerAll(web);
    expect(web.heldOf(TYPES.cluster).size).toBe(0);
    expect(await ended(held.wait(deletion))).toBe('served');
  });

  it('blames a refusal on nothing that was merely taken in together with what caused it', async () => {
    const services = Array.from({ length: 50 }, (_, at) => `s${at}`);
    held.plane.write(putting(...services.map((name) => aService(name))));
    const [web, job] = [held.connected('shop/web', ...services), held.connected('shop/job', 's7')];
    await published();
    web.refuses = ({ name }) => name === 's3.shop:80';
    // The first is published by itself; the others wait, and are too many to be compiled one by one.
    const revisions = services.map((name) => held.plane.write(putting(aSplit(name, name, { v1: 1 }))));
    await published();
    answerAll(web, job);
    const ends = await Promise.all(revisions.map((revision) => ended(held.wait(revision))));
    expect(services.filter((_, at) => ends[at] === 'refused-by-proxy')).toEqual(['s3']);
    expect(services.filter((_, at) => ends[at] === 'served')).toHaveLength(49);
    const affected = await Promise.all(
      revisions.map(async (revision) => (await held.plane.receipts.now(revision)).affected),
    );
    expect(services.filter((_, at) => affected[at] === 2)).toEqual(['s7']);
  });

  it('goes on counting who is away, names who is lost, and counts those too if that is asked for', async () => {
    held.plane.write(putting(aService('cart')));
    const web = held.connected('shop/web', 'cart');
    await published();
    // That is none of its business, and it is up to date all the same.
    const unseen = held.plane.write(putting(aService('unseen')));
    web.disconnect();
    await published();
    const revision = held.plane.write(putting(aSplit('cart', 'cart', { v1: 1 })));
    expect(await held.plane.receipts.now(1)).toMatchObject({ affected: 1, serving: 1 });
    expect(await held.plane.receipts.now(revision)).toMatchObject({
      affected: 1,
      serving: 0,
      laggards: [{ proxy: 'shop/web', serves: unseen, reason: 'disconnected' }],
      lost: [],
    });
    await vi.advanceTimersByTimeAsync(LEASE_MS);
    expect(await held.plane.receipts.now(revision)).toMatchObject({
      affected: 0,
      laggards: [],
      lost: [{ proxy: 'shop/web', enrolment: web.enrolment }],
    });
    expect(await held.plane.receipts.now(revision, 'count')).toMatchObject({
      affected: 1,
      serving: 0,
      lost: [{ proxy: 'shop/web' }],
    });
    expect((await held.plane.receipts.now(revision)).why).toContain(
      '1 more is lost and may still have what was before',
    );
    expect(await held.plane.receipts.now(1)).toMatchObject({ affected: 1, serving: 1, lost: [] });
  });

  it('counts who has joined and has not said yet what it wants, and names who was turned out', async () => {
    const web = held.plane.join('shop/web');
    const revision = held.plane.write(putting(aService('cart')));
    expect(await held.plane.receipts.now(revision)).toMatchObject({
      affected: 1,
      laggards: [{ reason: 'disconnected' }],
    });
    held.plane.evict(web);
    expect(await held.plane.receipts.now(revision)).toMatchObject({ affected: 0, lost: [{ proxy: 'shop/web' }] });
  });

  it('counts who is back and has not said yet all that it wants', async () => {
    held.plane.write(putting(aService('cart')));
    const web = held.connected('shop/web', 'cart');
    await published();
    const revision = held.plane.write(putting(aSplit('cart', 'cart', { v1: 1 })));
    answerAll(web);
    web.disconnect();
    web.open();
    web.introduce();
    expect(await held.plane.receipts.now(revision)).toMatchObject({
      affected: 1,
      serving: 0,
      laggards: [{ proxy: 'shop/web', reason: 'pending' }],
    });
    while (web.introduce());
    expect(await held.plane.receipts.now(revision)).toMatchObject({ affected: 1, serving: 1 });
  });

  it('says what does nothing', async () => {
    held.plane.write(putting(aService('cart'), aSplit('first', 'cart', { v1: 1 })));
    await published();
    const revision = held.plane.write(putting(aSplit('second', 'cart', { v2: 1 })));
    expect(await held.plane.receipts.now(revision)).toMatchObject({
      affected: 0,
      noEffect: [{ ref: { kind: 'TrafficSplit', name: 'second' }, reason: 'Conflicted' }],
    });
  });

  it('counts the removal of what a revision took away', async () => {
    const cart = aService('cart');
    held.plane.write(putting(cart));
    const web = held.connected('shop/web', 'cart');
    await published();
    const revision = held.plane.write(removing(cart));
    expect(await held.plane.receipts.now(revision)).toMatchObject({ affected: 1, serving: 0 });
    answerAll(web);
    expect(web.heldOf(TYPES.route).size).toBe(0);
    expect(await held.plane.receipts.now(revision)).toMatchObject({ affected: 1, serving: 1 });
  });

  it.each(['its answer is on its way', 'its link died before it could answer'])(
    'names a proxy that may hold what was taken back, as %s',
    async (how) => {
      const [cart, first, second] = [
        aService('cart'),
        aSplit('cart', 'cart', { v1: 1 }),
        aSplit('cart', 'cart', { v2: 1 }),
      ];
      held.plane.write(putting(cart, first));
      const web = held.connected('shop/web', 'cart');
      await published();
      held.plane.write(putting(second));
      await published();
      web.swap(0);
      if (how.startsWith('its link')) web.disconnect();
      const back = held.plane.write(putting(first));
      await published();
      expect(await held.plane.receipts.now(back)).toMatchObject({ affected: 1, serving: 0 });
      expect(await held.plane.receipts.now(1)).toMatchObject({ affected: 1, serving: 1 });
      await vi.advanceTimersByTimeAsync(2 * LEASE_MS);
      expect((await held.plane.receipts.now(back, 'count')).serving).toBe(0);
      web.connect();
      answerAll(web);
      expect(await held.plane.receipts.now(back)).toMatchObject({ affected: 1, serving: 1 });
    },
  );

  it('names a proxy that may have dropped what is there again', async () => {
    const cart = aService('cart');
    held.plane.write(putting(cart));
    const web = held.connected('shop/web', 'cart');
    await published();
    held.plane.write(removing(cart));
    await published();
    web.swap(0);
    const back = held.plane.write(putting(cart));
    await published();
    expect(await held.plane.receipts.now(back)).toMatchObject({ affected: 1, serving: 0 });
    answerAll(web);
    expect(await held.plane.receipts.now(back)).toMatchObject({ affected: 1, serving: 1 });
  });

  const rows: [string, number, number, Target, boolean][] = [
    ['all of four', 4, 4, ALL, true],
    ['three of four for all', 4, 3, ALL, false],
    ['three of four for 75 %', 4, 3, { percent: 75 }, true],
    ['three of four for 76 %', 4, 3, { percent: 76 }, false],
    ['none of none for all', 0, 0, ALL, true],
    ['two of four for two', 4, 2, { proxies: 2 }, true],
    ['one of one for two', 1, 1, { proxies: 2 }, false],
  ];
  it.each(rows)('%s', (_, affected, serving, target, met) => {
    expect(isMet({ sequence: 1, affected, serving }, target)).toBe(met);
  });
});
