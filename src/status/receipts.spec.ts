/** When waiting for a receipt ends, and how. */
import { describe, expect, it, vi } from 'vitest';
import { ALL, HeldPlane, answerAll, ended, published } from '../../test/support/held-plane.js';
import { aService, aSplit, putting, removing } from '../../test/support/model-documents.js';
import { LEASE_MS } from '../../test/support/model-plane.js';
import { TYPES } from '../compile/resource.js';

const held = HeldPlane.forEach();

describe('waiting for a receipt', () => {
  it('ends when the last of those that it concerns has acknowledged', async () => {
    held.plane.write(putting(aService('cart')));
    const [web, job] = [held.connected('shop/web', 'cart'), held.connected('shop/job', 'cart')];
    await published();
    const waiting = held.wait(held.plane.write(putting(aSplit('cart', 'cart', { v1: 1 }))));
    answerAll(web);
    expect(await ended(waiting)).toBe('waiting');
    answerAll(job);
    expect(await ended(waiting)).toBe('served');
  });

  it('ends with the first refusal that puts the target out of reach, and with none before', async () => {
    held.plane.write(putting(aService('cart')));
    const [web, job] = [held.connected('shop/web', 'cart'), held.connected('shop/job', 'cart')];
    await published();
    web.refuses = () => true;
    const revision = held.plane.write(putting(aSplit('cart', 'cart', { v1: 1 })));
    const [all, half] = [held.wait(revision), held.wait(revision, { percent: 50 })];
    expect(await ended(all)).toBe('waiting');
    answerAll(web);
    expect(await ended(all)).toBe('refused-by-proxy');
    expect(await ended(half)).toBe('waiting');
    answerAll(job);
    expect(await ended(half)).toBe('served');
  });

  it('ends when a proxy that was waited for is lost, or is turned out', async () => {
    held.plane.write(putting(aService('cart')));
    const [web, job] = [held.connected('shop/web', 'cart'), held.connected('shop/job', 'cart')];
    await published();
    const waiting = held.wait(held.plane.write(putting(aSplit('cart', 'cart', { v1: 1 }))));
    web.disconnect();
    held.plane.evict(job);
    expect(await ended(waiting)).toBe('waiting');
    await vi.advanceTimersByTimeAsync(LEASE_MS);
    expect(await ended(waiting)).toBe('served');
  });

  it('ends so as well when a proxy that will be lost much later is known of already', async () => {
    held.plane.write(putting(aService('cart')));
    const [web, job] = [held.connected('shop/web', 'cart'), held.connected('shop/job', 'cart')];
    await vi.advanceTimersByTimeAsync(LEASE_MS);
    // Turned out: what is left of it ends with its certificate, in a day.
    held.plane.evict(job);
    await published();
    web.disconnect();
    const waiting = held.wait(held.plane.write(putting(aSplit('cart', 'cart', { v1: 1 }))));
    await vi.advanceTimersByTimeAsync(LEASE_MS);
    expect(await ended(waiting)).toBe('served');
  });

  it('ends though one goes on reporting that never opens a stream', async () => {
    held.plane.write(putting(aService('cart')));
    const web = held.connected('shop/web', 'cart');
    held.plane.join('shop/job');
    await published();
    const waiting = held.wait(held.plane.write(putting(aSplit('cart', 'cart', { v1: 1 }))));
    answerAll(web);
    const first = LEASE_MS / 2;
    await vi.advanceTimersByTimeAsync(first);
    held.plane.fleet.heard('shop/job');
    await vi.advanceTimersByTimeAsync(LEASE_MS - 100);
    held.plane.fleet.heard('shop/job');
    expect(await ended(waiting)).toBe('waiting');
    await vi.advanceTimersByTimeAsync(100);
    expect(await ended(waiting)).toBe('served');
    expect(held.plane.fleet.attendance('shop/job').state).toBe('lost');
  });

  it('does not end so if lost proxies count, until one is back', async () => {
    held.plane.write(putting(aService('cart')));
    const web = held.connected('shop/web', 'cart');
    await published();
    web.disconnect();
    const waiting = held.wait(held.plane.write(putting(aSplit('cart', 'cart', { v1: 1 }))), ALL, 60_000, 'count');
    await vi.advanceTimersByTimeAsync(LEASE_MS);
    expect(await ended(waiting)).toBe('waiting');
    web.connect();
    answerAll(web);
    expect(await ended(waiting)).toBe('served');
  });

  it('ends when one that refused takes what comes next', async () => {
    held.plane.write(putting(aService('cart')));
    const [web, job, slow] = ['web', 'job', 'slow'].map((name) => held.connected(`shop/${name}`, 'cart'));
    if (!web || !job || !slow) throw new Error('three were connected');
    await published();
    web.refuses = ({ name }) => name === 'cart.shop:80';
    const waiting = held.wait(held.plane.write(putting(aSplit('cart', 'cart', { v1: 1 }))), { percent: 66 });
    answerAll(web, job);
    expect(await ended(waiting)).toBe('waiting');
    web.refuses = () => false;
    held.plane.write(putting(aSplit('cart', 'cart', { v1: 1, v2: 1 })));
    await published();
    answerAll(web, job);
    expect(await ended(waiting)).toBe('served');
  });

  it('ends when one that is there comes to want the change', async () => {
    held.plane.write(putting(aService('cart')));
    const [web, job] = [held.connected('shop/web', 'cart'), held.connected('shop/job')];
    await published();
    const waiting = held.wait(held.plane.write(putting(aSplit('cart', 'cart', { v1: 1 }))), { proxies: 2 });
    answerAll(web);
    expect(await ended(waiting)).toBe('waiting');
    job.ask(TYPES.route, ['cart.shop:80'], []);
    answerAll(job);
    expect(await ended(waiting)).toBe('served');
  });

  it('ends when what one that is away has is the newest once more', async () => {
    held.plane.write(putting(aService('cart')));
    const web = held.connected('shop/web', 'cart');
    await published();
    web.disconnect();
    const split = aSplit('cart', 'cart', { v1: 1 });
    const waiting = held.wait(held.plane.write(putting(split)), ALL, 60_000, 'count');
    await vi.advanceTimersByTimeAsync(LEASE_MS);
    expect(await ended(waiting)).toBe('waiting');
    held.plane.write(removing(split));
    expect(await ended(waiting)).toBe('served');
  });

  it('ends at once when refusals put it out of reach, however many are behind for other reasons', async () => {
    held.plane.write(putting(aService('cart')));
    const others = Array.from({ length: 1_000 }, (_, at) => held.connected(`a/${at}`, 'cart'));
    const web = held.connected('shop/web', 'cart');
    for (const other of others) other.disconnect();
    await published();
    web.refuses = ({ name }) => name === 'cart.shop:80';
    const waiting = held.wait(held.plane.write(putting(aSplit('cart', 'cart', { v1: 1 }))));
    answerAll(web);
    expect(await ended(waiting)).toBe('refused-by-proxy');
  });

  it('ends as well when so much was changed since that nobody remembers the revision', async () => {
    const few = 3;
    held.begin(false, few);
    held.plane.write(putting(aService('cart')));
    const web = held.connected('shop/web', 'cart');
    await published();
    // It is waited for before it is made, as by a server that has not heard of it yet.
    const waiting = held.wait(2);
    const revision = held.plane.write(putting(aSplit('cart', 'cart', { v1: 1 })));
    expect(revision).toBe(2);
    for (let made = 0; made < 2 * few; made += 1) {
      held.plane.write(putting(aService('unseen', made % 2 === 0 ? 80 : 8080)));
      await published();
    }
    expect(await ended(waiting)).toBe('waiting');
    answerAll(web);
    expect(await ended(waiting)).toBe('served');
    expect(held.plane.ring.of(revision)).toBeUndefined();
  });

  it('ends when one would not give up what the revision took away', async () => {
    const cart = aService('cart');
    held.plane.write(putting(cart));
    const web = held.connected('shop/web', 'cart');
    await published();
    web.clingsTo = () => true;
    const revision = held.plane.write(removing(cart));
    await published();
    answerAll(web);
    expect(await ended(held.wait(revision))).toBe('refused-by-proxy');
    expect((await held.plane.receipts.now(revision)).laggards).toMatchObject([
      { reason: 'refused', detail: expect.stringMatching(/^it refused to give up cart\.shop:80: /) as string },
    ]);
  });

  it('ends with the time, and says who is behind; ends with the caller; and is not begun for too many', async () => {
    const revision = held.plane.write(putting(aService('cart')));
    const web = held.plane.join('shop/web');
    web.connect();
    web.ask(TYPES.route, ['cart.shop:80'], []);
    const late = held.wait(revision, ALL, 500);
    late.catch(() => undefined);
    await vi.advanceTimersByTimeAsync(500);
    await expect(late).rejects.toMatchObject({
      code: 'not-applied-in-time',
      message: expect.stringContaining('shop/web') as string,
      extensions: { revision, receipt: { laggards: [{ proxy: 'shop/web', reason: 'pending' }] } },
    });
    const caller = new AbortController();
    const given = held.wait(revision, ALL, 60_000, 'ignore', caller.signal);
    caller.abort();
    await expect(given).rejects.toMatchObject({ code: 'not-applied-in-time' });
    const by = (author: string) => {
      const waiting = held.plane.receipts.wait(revision, { target: ALL, lost: 'ignore' }, 60_000, undefined, author);
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
    expect(held.plane.receipts.callers).toBe(901);
    answerAll(web);
    await vi.advanceTimersByTimeAsync(30);
    expect(await Promise.all(many)).toHaveLength(901);
    expect(held.plane.receipts.callers).toBe(0);
  });

  it('looks for one caller after the other, and lets everybody else have a turn in between', async () => {
    held.begin(true);
    const revision = held.plane.write(putting(aService('cart')));
    await vi.advanceTimersByTimeAsync(100);
    const web = held.plane.join('shop/web');
    web.connect();
    web.ask(TYPES.route, ['cart.shop:80'], []);
    const [waits, over] = [Array.from({ length: 5 }, () => held.wait(revision)), new Array<number>()];
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
    const revision = held.plane.write(putting(aService('cart')));
    held.connected('shop/web', 'cart');
    const waiting = held.wait(revision, { proxies: 5 }, 1);
    waiting.catch(() => undefined);
    await vi.advanceTimersByTimeAsync(1);
    await expect(waiting).rejects.toMatchObject({ message: expect.stringContaining('; 5 were asked for') as string });
  });
});
