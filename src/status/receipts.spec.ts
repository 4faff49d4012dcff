/** What a receipt counts and names, when waiting for it ends, and what an object's status says of it. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { aPolicy, aService, aSplit, aWorkload, putting, removing } from '../../test/support/model-documents.js';
import { LEASE_MS, ModelPlane } from '../../test/support/model-plane.js';
import type { Sidecar } from '../../test/support/model-sidecar.js';
import { TYPES } from '../compile/resource.js';
import { find } from '../model/mesh.js';
import { refOf, type Document } from '../model/document.js';
import { isMet, type Target } from './receipt.js';
import { Status } from './status.js';

const ALL: Target = { percent: 100 };

let plane: ModelPlane;
beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setImmediate', 'clearImmediate', 'Date'] });
  plane = new ModelPlane();
});
afterEach(() => {
  plane.close();
  vi.useRealTimers();
});

/** A sidecar that has a stream and has asked for these services, and has what there is of them. */
function connected(id: string, ...services: readonly string[]): Sidecar {
  const sidecar = plane.join(id);
  sidecar.connect();
  const names = services.map((service) => `${service}.shop:80`);
  for (const type of [TYPES.listener, TYPES.route]) sidecar.ask(type, names, []);
  answerAll(sidecar);
  return sidecar;
}
const answerAll = (...sidecars: readonly Sidecar[]): void => {
  for (const sidecar of sidecars) while (sidecar.inbox.length > 0) sidecar.answer(0);
};
const wait = (
  revision: number,
  target: Target = ALL,
  ms = 60_000,
  lost: 'ignore' | 'count' = 'ignore',
  signal?: AbortSignal,
) => plane.receipts.wait(revision, { target, lost }, ms, signal);
const ended = async (waiting: Promise<unknown>): Promise<string> => {
  let how = 'waiting';
  waiting.then(
    () => (how = 'served'),
    ({ code }: { code: string }) => (how = code),
  );
  await vi.advanceTimersByTimeAsync(30);
  return how;
};

describe('a receipt', () => {
  it('counts those that want what the revision changed, and says why', async () => {
    const web = connected('shop/web', 'cart');
    connected('shop/job', 'other');
    const revision = plane.write(putting(aService('cart')));
    expect(await plane.receipts.now(revision)).toMatchObject({
      affected: 1,
      serving: 0,
      laggards: [{ proxy: 'shop/web', reason: 'pending' }],
    });
    answerAll(web);
    expect(await plane.receipts.now(revision)).toMatchObject({
      affected: 1,
      serving: 1,
      laggards: [],
      lost: [],
      why: `1 of 1 proxies hold what revision ${revision} changed`,
    });
    await vi.advanceTimersByTimeAsync(20);
    const unseen = plane.write(putting(aService('unseen')));
    expect(await plane.receipts.now(unseen)).toMatchObject({
      affected: 0,
      why: `no proxy wants what revision ${unseen} changed`,
    });
  });

  it('is not that of strangers: others may refuse what they like, change what they like, and be as slow as they like', async () => {
    plane.write(putting(aService('cart'), aService('other')));
    const [web, slow] = [connected('shop/web', 'cart'), connected('shop/slow', 'other')];
    await vi.advanceTimersByTimeAsync(20);
    plane.write(putting(aSplit('other', 'other', { v1: 1 })));
    const revision = plane.write(putting(aSplit('cart', 'cart', { v1: 1 })));
    await vi.advanceTimersByTimeAsync(20);
    answerAll(web);
    expect(slow.inbox).not.toEqual([]);
    expect(await ended(wait(revision))).toBe('served');
  });

  it('blames a refusal on the change that caused it, and on no later one', async () => {
    plane.write(putting(aService('cart'), aService('other')));
    const web = connected('shop/web', 'cart', 'other');
    await vi.advanceTimersByTimeAsync(20);
    web.refuses = ({ name }) => name === 'cart.shop:80';
    const refused = plane.write(putting(aSplit('cart', 'cart', { v1: 1 })));
    answerAll(web);
    expect(await ended(wait(refused))).toBe('refused-by-proxy');
    expect((await plane.receipts.now(refused)).laggards).toMatchObject([
      { proxy: 'shop/web', reason: 'refused', detail: 'it refused cart.shop:80: it is not to its taste' },
    ]);
    await vi.advanceTimersByTimeAsync(20);
    const other = plane.write(putting(aSplit('other', 'other', { v1: 1 })));
    answerAll(web);
    expect(await ended(wait(other))).toBe('served');
    expect(await ended(wait(1))).toBe('served');
  });

  it('does not count who asks for what is none of its business, there or away', async () => {
    plane.report(putting(aWorkload('web')));
    const [web, mallory] = [connected('shop/web'), connected('shop/mallory')];
    for (const sidecar of [web, mallory]) sidecar.ask(TYPES.listener, ['inbound/shop/web:9000'], []);
    answerAll(web, mallory);
    await vi.advanceTimersByTimeAsync(20);
    const policy = aPolicy('web', 'nothing');
    const revision = plane.write(
      putting({ ...policy, spec: { ...(policy.spec as object), target: { scope: 'Namespace' } } }),
    );
    const waiting = wait(revision, { proxies: 1 });
    expect(await ended(waiting)).toBe('waiting');
    expect(await plane.receipts.now(revision)).toMatchObject({ affected: 1, serving: 0 });
    mallory.disconnect();
    expect(await plane.receipts.now(revision)).toMatchObject({ affected: 1, serving: 0 });
    answerAll(web);
    expect(await ended(waiting)).toBe('served');
  });

  it('is true of who keeps at hand what it refused, once that was taken back', async () => {
    const before = aSplit('cart', 'cart', { v1: 1 });
    plane.write(putting(aService('cart'), before));
    const web = connected('shop/web', 'cart');
    const first = web.heldOf(TYPES.route).get('cart.shop:80');
    await vi.advanceTimersByTimeAsync(20);
    web.refuses = ({ version }) => version !== first;
    plane.write(putting(aSplit('cart', 'cart', { v2: 1 })));
    answerAll(web);
    await vi.advanceTimersByTimeAsync(20);
    const waiting = wait(plane.write(putting(before)));
    await vi.advanceTimersByTimeAsync(20);
    expect(await ended(waiting)).toBe('waiting');
    answerAll(web);
    expect(await ended(waiting)).toBe('served');
    web.warmUp();
    expect(web.heldOf(TYPES.route).get('cart.shop:80')).toBe(first);
  });

  it('blames a deletion on no refusal of what had nothing to do with it', async () => {
    const other = aService('other');
    plane.write(putting(aService('cart'), other));
    const web = connected('shop/web', 'cart', 'other');
    for (const type of [TYPES.cluster, TYPES.endpoints]) web.ask(type, ['other.shop:80'], []);
    answerAll(web);
    await vi.advanceTimersByTimeAsync(20);
    web.refuses = ({ name }) => name === 'cart.shop:80';
    plane.write(putting(aSplit('cart', 'cart', { v1: 1 })));
    answerAll(web);
    await vi.advanceTimersByTimeAsync(20);
    const deletion = plane.write(removing(other));
    await vi.advanceTimersByTimeAsync(20);
    answerAll(web);
    expect(web.heldOf(TYPES.cluster).size).toBe(0);
    expect(await ended(wait(deletion))).toBe('served');
  });

  it('blames a refusal on nothing that was merely taken in together with what caused it', async () => {
    const services = Array.from({ length: 50 }, (_, at) => `s${at}`);
    plane.write(putting(...services.map((name) => aService(name))));
    const [web, job] = [connected('shop/web', ...services), connected('shop/job', 's7')];
    await vi.advanceTimersByTimeAsync(20);
    web.refuses = ({ name }) => name === 's3.shop:80';
    // The first is published by itself; the others wait, and are too many to be compiled one by one.
    const revisions = services.map((name) => plane.write(putting(aSplit(name, name, { v1: 1 }))));
    await vi.advanceTimersByTimeAsync(20);
    answerAll(web, job);
    const ends = await Promise.all(revisions.map((revision) => ended(wait(revision))));
    expect(services.filter((_, at) => ends[at] === 'refused-by-proxy')).toEqual(['s3']);
    expect(services.filter((_, at) => ends[at] === 'served')).toHaveLength(49);
    const affected = await Promise.all(
      revisions.map(async (revision) => (await plane.receipts.now(revision)).affected),
    );
    expect(services.filter((_, at) => affected[at] === 2)).toEqual(['s7']);
  });

  it('goes on counting who is away, names who is lost, and counts those too if that is asked for', async () => {
    plane.write(putting(aService('cart')));
    const web = connected('shop/web', 'cart');
    await vi.advanceTimersByTimeAsync(20);
    // That is none of its business, and it is up to date all the same.
    const unseen = plane.write(putting(aService('unseen')));
    web.disconnect();
    await vi.advanceTimersByTimeAsync(20);
    const revision = plane.write(putting(aSplit('cart', 'cart', { v1: 1 })));
    expect(await plane.receipts.now(1)).toMatchObject({ affected: 1, serving: 1 });
    expect(await plane.receipts.now(revision)).toMatchObject({
      affected: 1,
      serving: 0,
      laggards: [{ proxy: 'shop/web', serves: unseen, reason: 'disconnected' }],
      lost: [],
    });
    await vi.advanceTimersByTimeAsync(LEASE_MS);
    expect(await plane.receipts.now(revision)).toMatchObject({
      affected: 0,
      laggards: [],
      lost: [{ proxy: 'shop/web' }],
    });
    expect(await plane.receipts.now(revision, 'count')).toMatchObject({
      affected: 1,
      serving: 0,
      lost: [{ proxy: 'shop/web' }],
    });
    expect((await plane.receipts.now(revision)).why).toContain('1 more is lost and may not');
    expect(await plane.receipts.now(1)).toMatchObject({ affected: 1, serving: 1, lost: [] });
  });

  it('counts who has joined and has not said yet what it wants, and names who was turned out', async () => {
    const web = plane.join('shop/web');
    const revision = plane.write(putting(aService('cart')));
    expect(await plane.receipts.now(revision)).toMatchObject({ affected: 1, laggards: [{ reason: 'disconnected' }] });
    plane.evict(web);
    expect(await plane.receipts.now(revision)).toMatchObject({ affected: 0, lost: [{ proxy: 'shop/web' }] });
  });

  it('counts who is back and has not said yet all that it wants', async () => {
    plane.write(putting(aService('cart')));
    const web = connected('shop/web', 'cart');
    await vi.advanceTimersByTimeAsync(20);
    const revision = plane.write(putting(aSplit('cart', 'cart', { v1: 1 })));
    answerAll(web);
    web.disconnect();
    web.open();
    web.introduce();
    expect(await plane.receipts.now(revision)).toMatchObject({
      affected: 1,
      serving: 0,
      laggards: [{ proxy: 'shop/web', reason: 'pending' }],
    });
    while (web.introduce());
    expect(await plane.receipts.now(revision)).toMatchObject({ affected: 1, serving: 1 });
  });

  it('says what does nothing', async () => {
    plane.write(putting(aService('cart'), aSplit('first', 'cart', { v1: 1 })));
    await vi.advanceTimersByTimeAsync(20);
    const revision = plane.write(putting(aSplit('second', 'cart', { v2: 1 })));
    expect(await plane.receipts.now(revision)).toMatchObject({
      affected: 0,
      noEffect: [{ ref: { kind: 'TrafficSplit', name: 'second' }, reason: 'Conflicted' }],
    });
  });

  it('counts the removal of what a revision took away', async () => {
    const cart = aService('cart');
    plane.write(putting(cart));
    const web = connected('shop/web', 'cart');
    await vi.advanceTimersByTimeAsync(20);
    const revision = plane.write(removing(cart));
    expect(await plane.receipts.now(revision)).toMatchObject({ affected: 1, serving: 0 });
    answerAll(web);
    expect(web.heldOf(TYPES.route).size).toBe(0);
    expect(await plane.receipts.now(revision)).toMatchObject({ affected: 1, serving: 1 });
  });

  it.each(['its answer is on its way', 'its link died before it could answer'])(
    'names a proxy that may hold what was taken back, as %s',
    async (how) => {
      const [cart, first, second] = [
        aService('cart'),
        aSplit('cart', 'cart', { v1: 1 }),
        aSplit('cart', 'cart', { v2: 1 }),
      ];
      plane.write(putting(cart, first));
      const web = connected('shop/web', 'cart');
      await vi.advanceTimersByTimeAsync(20);
      plane.write(putting(second));
      await vi.advanceTimersByTimeAsync(20);
      web.swap(0);
      if (how.startsWith('its link')) web.disconnect();
      const back = plane.write(putting(first));
      await vi.advanceTimersByTimeAsync(20);
      expect(await plane.receipts.now(back)).toMatchObject({ affected: 1, serving: 0 });
      expect(await plane.receipts.now(1)).toMatchObject({ affected: 1, serving: 1 });
      await vi.advanceTimersByTimeAsync(2 * LEASE_MS);
      expect((await plane.receipts.now(back, 'count')).serving).toBe(0);
      web.connect();
      answerAll(web);
      expect(await plane.receipts.now(back)).toMatchObject({ affected: 1, serving: 1 });
    },
  );

  it('names a proxy that may have dropped what is there again', async () => {
    const cart = aService('cart');
    plane.write(putting(cart));
    const web = connected('shop/web', 'cart');
    await vi.advanceTimersByTimeAsync(20);
    plane.write(removing(cart));
    await vi.advanceTimersByTimeAsync(20);
    web.swap(0);
    const back = plane.write(putting(cart));
    await vi.advanceTimersByTimeAsync(20);
    expect(await plane.receipts.now(back)).toMatchObject({ affected: 1, serving: 0 });
    answerAll(web);
    expect(await plane.receipts.now(back)).toMatchObject({ affected: 1, serving: 1 });
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

describe('the receipt of a revision that is not remembered any more', () => {
  const FEW = 3;
  beforeEach(() => {
    plane.close();
    plane = new ModelPlane(false, FEW);
  });
  /** Makes so many revisions that concern nobody. */
  const forget = async (count = FEW + 1): Promise<void> => {
    for (let made = 0; made < count; made += 1) {
      plane.write(putting(aService('unseen', made % 2 === 0 ? 80 : 8080)));
      await vi.advanceTimersByTimeAsync(20);
    }
  };

  it('does not take who has been away since before it for one that serves it', async () => {
    plane.write(putting(aService('cart'), aSplit('cart', 'cart', { v1: 1 })));
    const web = connected('shop/web', 'cart');
    await vi.advanceTimersByTimeAsync(20);
    web.disconnect();
    await vi.advanceTimersByTimeAsync(LEASE_MS);
    const revision = plane.write(putting(aSplit('cart', 'cart', { v2: 1 })));
    await forget();
    expect(plane.ring.of(revision)).toBeUndefined();
    expect(await plane.receipts.now(revision, 'count')).toMatchObject({ serving: 0, lost: [{ proxy: 'shop/web' }] });
    const split = find(plane.worlds.current.mesh, refOf(aSplit('cart', 'cart', {})));
    expect(plane.receipts.ofObject(refOf(aSplit('cart', 'cart', {})), split?.metadata.revision ?? 0).serving).toBe(0);
    web.connect();
    answerAll(web);
    expect(await plane.receipts.now(revision, 'count')).toMatchObject({ affected: 1, serving: 1, lost: [] });
  });

  it('names who may still have what it took away', async () => {
    const cart = aService('cart');
    plane.write(putting(cart));
    const [web, job] = [connected('shop/web', 'cart'), connected('shop/job', 'cart')];
    await vi.advanceTimersByTimeAsync(20);
    web.disconnect();
    const revision = plane.write(removing(cart));
    await vi.advanceTimersByTimeAsync(20);
    await forget();
    expect(await plane.receipts.now(revision)).toMatchObject({
      affected: 2,
      serving: 0,
      laggards: [
        { proxy: 'shop/job', reason: 'pending' },
        { proxy: 'shop/web', reason: 'disconnected' },
      ],
    });
    web.connect();
    answerAll(web, job);
    expect(await plane.receipts.now(revision)).toMatchObject({ serving: 0, affected: 0 });
  });
});

describe('waiting for a receipt', () => {
  it('ends when the last of those that it concerns has acknowledged', async () => {
    plane.write(putting(aService('cart')));
    const [web, job] = [connected('shop/web', 'cart'), connected('shop/job', 'cart')];
    await vi.advanceTimersByTimeAsync(20);
    const waiting = wait(plane.write(putting(aSplit('cart', 'cart', { v1: 1 }))));
    answerAll(web);
    expect(await ended(waiting)).toBe('waiting');
    answerAll(job);
    expect(await ended(waiting)).toBe('served');
  });

  it('ends with the first refusal that puts the target out of reach, and with none before', async () => {
    plane.write(putting(aService('cart')));
    const [web, job] = [connected('shop/web', 'cart'), connected('shop/job', 'cart')];
    await vi.advanceTimersByTimeAsync(20);
    web.refuses = () => true;
    const revision = plane.write(putting(aSplit('cart', 'cart', { v1: 1 })));
    const [all, half] = [wait(revision), wait(revision, { percent: 50 })];
    expect(await ended(all)).toBe('waiting');
    answerAll(web);
    expect(await ended(all)).toBe('refused-by-proxy');
    expect(await ended(half)).toBe('waiting');
    answerAll(job);
    expect(await ended(half)).toBe('served');
  });

  it('ends when a proxy that was waited for is lost, or is turned out', async () => {
    plane.write(putting(aService('cart')));
    const [web, job] = [connected('shop/web', 'cart'), connected('shop/job', 'cart')];
    await vi.advanceTimersByTimeAsync(20);
    const waiting = wait(plane.write(putting(aSplit('cart', 'cart', { v1: 1 }))));
    web.disconnect();
    plane.evict(job);
    expect(await ended(waiting)).toBe('waiting');
    await vi.advanceTimersByTimeAsync(LEASE_MS);
    expect(await ended(waiting)).toBe('served');
  });

  it('ends so as well when a proxy that will be lost much later is known of already', async () => {
    plane.write(putting(aService('cart')));
    const [web, job] = [connected('shop/web', 'cart'), connected('shop/job', 'cart')];
    await vi.advanceTimersByTimeAsync(LEASE_MS);
    // Turned out: what is left of it ends with its certificate, in a day.
    plane.evict(job);
    await vi.advanceTimersByTimeAsync(20);
    web.disconnect();
    const waiting = wait(plane.write(putting(aSplit('cart', 'cart', { v1: 1 }))));
    await vi.advanceTimersByTimeAsync(LEASE_MS);
    expect(await ended(waiting)).toBe('served');
  });

  it('ends though one goes on reporting that never opens a stream', async () => {
    plane.write(putting(aService('cart')));
    const web = connected('shop/web', 'cart');
    plane.join('shop/job');
    await vi.advanceTimersByTimeAsync(20);
    const waiting = wait(plane.write(putting(aSplit('cart', 'cart', { v1: 1 }))));
    answerAll(web);
    const first = LEASE_MS / 2;
    await vi.advanceTimersByTimeAsync(first);
    plane.fleet.heard('shop/job');
    await vi.advanceTimersByTimeAsync(LEASE_MS - 100);
    plane.fleet.heard('shop/job');
    expect(await ended(waiting)).toBe('waiting');
    await vi.advanceTimersByTimeAsync(100);
    expect(await ended(waiting)).toBe('served');
    expect(plane.fleet.attendance('shop/job').state).toBe('lost');
  });

  it('does not end so if lost proxies count, until one is back', async () => {
    plane.write(putting(aService('cart')));
    const web = connected('shop/web', 'cart');
    await vi.advanceTimersByTimeAsync(20);
    web.disconnect();
    const waiting = wait(plane.write(putting(aSplit('cart', 'cart', { v1: 1 }))), ALL, 60_000, 'count');
    await vi.advanceTimersByTimeAsync(LEASE_MS);
    expect(await ended(waiting)).toBe('waiting');
    web.connect();
    answerAll(web);
    expect(await ended(waiting)).toBe('served');
  });

  it('ends when one that refused takes what comes next', async () => {
    plane.write(putting(aService('cart')));
    const [web, job, slow] = ['web', 'job', 'slow'].map((name) => connected(`shop/${name}`, 'cart'));
    if (!web || !job || !slow) throw new Error('three were connected');
    await vi.advanceTimersByTimeAsync(20);
    web.refuses = ({ name }) => name === 'cart.shop:80';
    const waiting = wait(plane.write(putting(aSplit('cart', 'cart', { v1: 1 }))), { percent: 66 });
    answerAll(web, job);
    expect(await ended(waiting)).toBe('waiting');
    web.refuses = () => false;
    plane.write(putting(aSplit('cart', 'cart', { v1: 1, v2: 1 })));
    await vi.advanceTimersByTimeAsync(20);
    answerAll(web, job);
    expect(await ended(waiting)).toBe('served');
  });

  it('ends when one that is there comes to want the change', async () => {
    plane.write(putting(aService('cart')));
    const [web, job] = [connected('shop/web', 'cart'), connected('shop/job')];
    await vi.advanceTimersByTimeAsync(20);
    const waiting = wait(plane.write(putting(aSplit('cart', 'cart', { v1: 1 }))), { proxies: 2 });
    answerAll(web);
    expect(await ended(waiting)).toBe('waiting');
    job.ask(TYPES.route, ['cart.shop:80'], []);
    answerAll(job);
    expect(await ended(waiting)).toBe('served');
  });

  it('ends when what one that is away has is the newest once more', async () => {
    plane.write(putting(aService('cart')));
    const web = connected('shop/web', 'cart');
    await vi.advanceTimersByTimeAsync(20);
    web.disconnect();
    const split = aSplit('cart', 'cart', { v1: 1 });
    const waiting = wait(plane.write(putting(split)), ALL, 60_000, 'count');
    await vi.advanceTimersByTimeAsync(LEASE_MS);
    expect(await ended(waiting)).toBe('waiting');
    plane.write(removing(split));
    expect(await ended(waiting)).toBe('served');
  });

  it('ends at once when refusals put it out of reach, however many are behind for other reasons', async () => {
    plane.write(putting(aService('cart')));
    const others = Array.from({ length: 1_000 }, (_, at) => connected(`a/${at}`, 'cart'));
    const web = connected('shop/web', 'cart');
    for (const other of others) other.disconnect();
    await vi.advanceTimersByTimeAsync(20);
    web.refuses = ({ name }) => name === 'cart.shop:80';
    const waiting = wait(plane.write(putting(aSplit('cart', 'cart', { v1: 1 }))));
    answerAll(web);
    expect(await ended(waiting)).toBe('refused-by-proxy');
  });

  it('ends with the time, and says who is behind; ends with the caller; and is not begun for too many', async () => {
    const revision = plane.write(putting(aService('cart')));
    const web = plane.join('shop/web');
    web.connect();
    web.ask(TYPES.route, ['cart.shop:80'], []);
    const late = wait(revision, ALL, 500);
    late.catch(() => undefined);
    await vi.advanceTimersByTimeAsync(500);
    await expect(late).rejects.toMatchObject({
      code: 'not-applied-in-time',
      message: expect.stringContaining('shop/web') as string,
      extensions: { revision, receipt: { laggards: [{ proxy: 'shop/web', reason: 'pending' }] } },
    });
    const caller = new AbortController();
    const given = wait(revision, ALL, 60_000, 'ignore', caller.signal);
    caller.abort();
    await expect(given).rejects.toMatchObject({ code: 'not-applied-in-time' });
    const by = (author: string) => {
      const waiting = plane.receipts.wait(revision, { target: ALL, lost: 'ignore' }, 60_000, undefined, author);
      waiting.catch(() => undefined);
      return waiting;
    };
    const told = (words: string) => ({ message: expect.stringContaining(words) as string });
    // One token has half of all places, others have the rest, and an operator finds one all the same.
    const many = Array.from({ length: 500 }, () => by('pipeline'));
    const one = by('pipeline');
    many.push(...Array.from({ length: 400 }, () => by('other')));
    await vi.advanceTimersByTimeAsync(0);
    await expect(one).rejects.toMatchObject(told('500 callers with this token are waiting already'));
    await expect(by('other')).rejects.toMatchObject(told('900 callers are waiting already'));
    many.push(by('operator'));
    await vi.advanceTimersByTimeAsync(0);
    expect(plane.receipts.callers).toBe(901);
    answerAll(web);
    await vi.advanceTimersByTimeAsync(30);
    expect(await Promise.all(many)).toHaveLength(901);
    expect(plane.receipts.callers).toBe(0);
  });

  it('looks for one caller after the other, and lets everybody else have a turn in between', async () => {
    plane.close();
    plane = new ModelPlane(true);
    const revision = plane.write(putting(aService('cart')));
    await vi.advanceTimersByTimeAsync(100);
    const web = plane.join('shop/web');
    web.connect();
    web.ask(TYPES.route, ['cart.shop:80'], []);
    const [waits, over] = [Array.from({ length: 5 }, () => wait(revision)), new Array<number>()];
    for (const [at, waiting] of waits.entries()) void waiting.then(() => over.push(at));
    await vi.advanceTimersByTimeAsync(100);
    answerAll(web);
    for (let turn = 0; over.length < waits.length; turn += 1) {
      const before = over.length;
      expect(turn).toBeLessThan(20);
      await vi.advanceTimersToNextTimerAsync();
      expect(over.length - before).toBeLessThanOrEqual(1);
    }
    expect(over).toEqual([0, 1, 2, 3, 4]);
  });

  it('says so when more proxies are asked for than want the change', async () => {
    const revision = plane.write(putting(aService('cart')));
    connected('shop/web', 'cart');
    const waiting = wait(revision, { proxies: 5 }, 1);
    waiting.catch(() => undefined);
    await vi.advanceTimersByTimeAsync(1);
    await expect(waiting).rejects.toMatchObject({ message: expect.stringContaining('; 5 were asked for') as string });
  });
});

describe('the status of an object', () => {
  const conditions = (document: Document) => {
    const now = find(plane.worlds.current.mesh, refOf(document));
    const status = new Status(plane.engine, plane.fleet, plane.receipts);
    return Object.fromEntries((now ? status.conditionsOf(now) : []).map(({ type, ...rest }) => [type, rest]));
  };

  it('is programmed when all whom it concerns have it, and pending before', async () => {
    const cart = aService('cart');
    const web = connected('shop/web', 'cart');
    plane.write(putting(cart));
    expect(conditions(cart)['Programmed']).toMatchObject({ status: 'False', reason: 'Pending' });
    answerAll(web);
    expect(conditions(cart)['Programmed']).toMatchObject({ status: 'True', reason: 'Programmed' });
  });

  it('is as fresh as the last acknowledgement, the last that was asked for, and the last that joined', () => {
    const status = new Status(plane.engine, plane.fleet, plane.receipts);
    const cart = aService('cart');
    const isProgrammed = (): boolean => {
      const now = find(plane.worlds.current.mesh, refOf(cart));
      const conditions = now ? status.conditionsOf(now) : [];
      return conditions.some(({ type, status: is }) => type === 'Programmed' && is === 'True');
    };
    const [web, job] = [connected('shop/web', 'cart'), connected('shop/job', 'other')];
    plane.write(putting(cart));
    expect(isProgrammed()).toBe(false);
    answerAll(web);
    expect(isProgrammed()).toBe(true);
    job.ask(TYPES.route, ['cart.shop:80'], []);
    expect(isProgrammed()).toBe(false);
    answerAll(job);
    expect(isProgrammed()).toBe(true);
    plane.join('shop/late');
    expect(isProgrammed()).toBe(false);
  });

  it('is not programmed when it does nothing, and says why', async () => {
    const second = aSplit('second', 'cart', { v2: 1 });
    plane.write(putting(aService('cart'), aSplit('first', 'cart', { v1: 1 }), second));
    expect(conditions(second)).toMatchObject({
      Accepted: { status: 'False', reason: 'Conflicted' },
      Programmed: { status: 'False', reason: 'NoEffect', message: expect.stringContaining('is older') as string },
    });
  });

  it('shows why a proxy refuses what was made of it, and what there is not', async () => {
    plane.report(putting(aWorkload('web')));
    const web = connected('shop/web');
    web.ask(TYPES.listener, ['inbound/shop/web:9000'], []);
    answerAll(web);
    await vi.advanceTimersByTimeAsync(20);
    web.refuses = () => true;
    const policy = aPolicy('web', 'nothing');
    plane.write(putting({ ...policy, spec: { ...(policy.spec as object), target: { scope: 'Namespace' } } }));
    answerAll(web);
    expect(conditions(policy)['Programmed']).toMatchObject({
      status: 'False',
      reason: 'Refused',
      message: expect.stringContaining('shop/web: it refused inbound/shop/web:9000') as string,
    });
    await vi.advanceTimersByTimeAsync(20);
    plane.write(putting(policy));
    expect(conditions(policy)['ResolvedRefs']).toMatchObject({ status: 'False', reason: 'ServiceNotFound' });
  });

  it('of a fact is that of what it is a cause of now', async () => {
    const cart = aWorkload('cart');
    plane.write(putting(aService('cart')));
    plane.report(putting(cart));
    const web = connected('shop/web');
    web.ask(TYPES.endpoints, ['cart.shop:80'], []);
    answerAll(web);
    expect(conditions(cart)['Programmed']).toMatchObject({ status: 'True' });
    await vi.advanceTimersByTimeAsync(20);
    plane.report(putting(aWorkload('cart', '10.0.0.9')));
    expect(conditions(cart)['Programmed']).toMatchObject({ status: 'False', reason: 'Pending' });
    answerAll(web);
    expect(conditions(cart)['Programmed']).toMatchObject({ status: 'True' });
  });
});

describe('the fleet', () => {
  it('is who has joined: there, away, or lost; those that were turned out are not listed', async () => {
    const states = () => plane.fleet.proxies().map(({ id, state }) => `${id} ${state}`);
    const [b, a] = [plane.join('shop/b'), plane.join('shop/a')];
    b.connect();
    expect(states()).toEqual(['shop/a disconnected', 'shop/b connected']);
    await vi.advanceTimersByTimeAsync(LEASE_MS);
    expect(states()).toEqual(['shop/a lost', 'shop/b connected']);
    plane.fleet.heard('shop/a');
    expect(plane.fleet.attendance('shop/a').state).toBe('disconnected');
    plane.evict(a);
    expect(states()).toEqual(['shop/b connected']);
    expect(plane.fleet.named('shop/a')).toBeUndefined();
  });

  it('is read page by page', () => {
    for (const name of ['d', 'a', 'c', 'b']) plane.join(`shop/${name}`);
    const first = plane.fleet.page('', 3);
    expect(first.proxies.map(({ id }) => id)).toEqual(['shop/a', 'shop/b', 'shop/c']);
    expect(first.more).toBe(true);
    expect(plane.fleet.page('shop/c', 3)).toMatchObject({ proxies: [{ id: 'shop/d' }], more: false });
  });
});
