/** What is still known of a revision that the ring has forgotten. */
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { HeldPlane, answerAll, published } from '../../test/support/held-plane.js';
import { aService, aSplit, putting, removing } from '../../test/support/model-documents.js';
import { LEASE_MS } from '../../test/support/model-plane.js';
import { refOf } from '../model/document.js';
import { find } from '../model/mesh.js';

const held = HeldPlane.forEach();

describe('the receipt of a revision that is not remembered any more', () => {
  const FEW = 3;
  beforeEach(() => {
    held.begin(false, FEW);
  });
  /** Makes so many revisions that concern nobody. */
  const forget = async (count = FEW + 1): Promise<void> => {
    for (let made = 0; made < count; made += 1) {
      held.plane.write(putting(aService('unseen', made % 2 === 0 ? 80 : 8080)));
      await published();
    }
  };

  it('does not take who has been away since before it for one that serves it', async () => {
    held.plane.write(putting(aService('cart'), aSplit('cart', 'cart', { v1: 1 })));
    const web = held.connected('shop/web', 'cart');
    await published();
    web.disconnect();
    await vi.advanceTimersByTimeAsync(LEASE_MS);
    const revision = held.plane.write(putting(aSplit('cart', 'cart', { v2: 1 })));
    await forget();
    expect(held.plane.ring.of(revision)).toBeUndefined();
    expect(await held.plane.receipts.now(revision, 'count')).toMatchObject({
      serving: 0,
      lost: [{ proxy: 'shop/web' }],
    });
    const split = find(held.plane.worlds.current.mesh, refOf(aSplit('cart', 'cart', {})));
    expect(held.plane.receipts.ofObject(refOf(aSplit('cart', 'cart', {})), split?.metadata.revision ?? 0).serving).toBe(
      0,
    );
    web.connect();
    answerAll(web);
    expect(await held.plane.receipts.now(revision, 'count')).toMatchObject({ affected: 1, serving: 1, lost: [] });
  });

  it('names who may still have what it took away', async () => {
    const cart = aService('cart');
    held.plane.write(putting(cart));
    const [web, job] = [held.connected('shop/web', 'cart'), held.connected('shop/job', 'cart')];
    await published();
    web.disconnect();
    const revision = held.plane.write(removing(cart));
    await published();
    await forget();
    expect(await held.plane.receipts.now(revision)).toMatchObject({
      affected: 2,
      serving: 0,
      laggards: [
        { proxy: 'shop/job', reason: 'pending' },
        { proxy: 'shop/web', reason: 'disconnected' },
      ],
    });
    web.connect();
    answerAll(web, job);
    expect(await held.plane.receipts.now(revision)).toMatchObject({ serving: 0, affected: 0 });
  });

  it('names who would not give up what it took away, and does not say that proxies were told nothing', async () => {
    const cart = aService('cart');
    held.plane.write(putting(cart));
    const [web, job] = [held.connected('shop/web', 'cart'), held.connected('shop/job', 'cart')];
    await published();
    web.clingsTo = () => true;
    const revision = held.plane.write(removing(cart));
    await published();
    answerAll(web, job);
    await forget();
    expect(held.plane.ring.of(revision)).toBeUndefined();
    expect(await held.plane.receipts.now(revision)).toMatchObject({
      affected: 1,
      laggards: [{ proxy: 'shop/web', reason: 'refused' }],
    });
    await expect(held.wait(revision)).rejects.toMatchObject({ code: 'refused-by-proxy' });
  });

  it('names who goes on with what came before, as it refused what the revision made of it', async () => {
    held.plane.write(putting(aService('cart'), aSplit('cart', 'cart', { v1: 1 })));
    const web = held.connected('shop/web', 'cart');
    await published();
    web.refuses = () => true;
    const revision = held.plane.write(removing(aSplit('cart', 'cart', {})));
    await published();
    answerAll(web);
    await forget();
    expect((await held.plane.receipts.now(revision)).laggards).toMatchObject([
      { proxy: 'shop/web', reason: 'refused' },
    ]);
  });
});
