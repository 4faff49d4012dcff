/** Whoever goes on with something that there is no more goes on without what is changed about it, and receipts say so. */
import { describe, expect, it, vi } from 'vitest';
import { HeldPlane, answerAll, published } from '../../test/support/held-plane.js';
import { aPolicy, aService, aSplit, aWorkload, putting, removing } from '../../test/support/model-documents.js';
import { LEASE_MS } from '../../test/support/model-plane.js';
import type { Sidecar } from '../../test/support/model-sidecar.js';
import { TYPES } from '../compile/resource.js';
import type { Document } from '../model/document.js';

const held = HeldPlane.forEach();
const cart = aWorkload('cart');
const guard = 'inbound/shop/cart:9000';

/** The sidecar of workload cart, which stands behind service cart and has its listener. */
async function guarding(): Promise<Sidecar> {
  held.plane.report(putting(cart));
  held.plane.write(putting(aService('cart'), aService('other')));
  const sidecar = held.connected('shop/cart');
  sidecar.ask(TYPES.listener, [guard], []);
  answerAll(sidecar);
  await published();
  return sidecar;
}

const settings = (defaultMode: string): Document => ({
  ...aPolicy('mesh', ''),
  kind: 'MeshSettings',
  metadata: { ...aPolicy('mesh', '').metadata, namespace: '' },
  spec: { defaultMode, clusterNetworks: [] },
});

describe('who was turned out and lives', () => {
  /** It is turned out, and its workload goes with it. */
  async function turnedOut(): Promise<Sidecar> {
    const sidecar = await guarding();
    held.plane.evict(sidecar);
    held.plane.report(removing(cart));
    await published();
    return sidecar;
  }
  const namespaced = {
    ...aPolicy('all', ''),
    spec: { ...(aPolicy('all', '').spec as object), target: { scope: 'Namespace' } },
  };

  it.each<[string, Document, boolean]>([
    ['a policy for its service', aPolicy('p', 'cart'), true],
    ['a policy for its namespace', namespaced, true],
    ['the settings of the mesh', settings('deny'), true],
    ['a policy for another service', aPolicy('p', 'other'), false],
    ['a split', aSplit('cart', 'cart', { other: 1 }), false],
    ['another service', aService('third'), false],
  ])('is lost to %s if that would have been its own: %s', async (_, document, isLost) => {
    await turnedOut();
    const revision = held.plane.write(putting(document));
    await published();
    const { affected, lost } = await held.plane.receipts.now(revision);
    expect(affected).toBe(0);
    expect(lost.map(({ proxy }) => proxy)).toEqual(isLost ? ['shop/cart'] : []);
    expect((await held.plane.receipts.now(revision, 'count')).affected).toBe(isLost ? 1 : 0);
  });

  it('is lost to what is changed or deleted of what it enforces', async () => {
    const policy = aPolicy('p', 'cart');
    const sidecar = await guarding();
    held.plane.write(putting(policy));
    await published();
    answerAll(sidecar);
    held.plane.evict(sidecar);
    held.plane.report(removing(cart));
    await published();
    for (const edit of [putting(aPolicy('p', 'cart', 'front')), removing(policy)]) {
      const revision = held.plane.write(edit);
      await published();
      expect((await held.plane.receipts.now(revision)).lost).toMatchObject([{ proxy: 'shop/cart' }]);
    }
  });

  it('is lost to a policy that goes into force together with its own going', async () => {
    const sidecar = await guarding();
    const [first] = [held.plane.write(putting(aService('busy')))];
    held.plane.evict(sidecar);
    held.plane.report(removing(cart));
    for (let made = 0; made < 40; made += 1) held.plane.write(putting(aService('busy', 80 + made)));
    const revision = held.plane.write(putting(aPolicy('p', 'cart')));
    await vi.advanceTimersByTimeAsync(100);
    expect(held.plane.sequenceOf(revision)).toBeGreaterThan(held.plane.sequenceOf(first) ?? 0);
    expect((await held.plane.receipts.now(revision)).lost).toMatchObject([{ proxy: 'shop/cart' }]);
  });
});

describe('who is there and has not let go yet', () => {
  it('is affected by a policy for what it guards until it has let go', async () => {
    const sidecar = await guarding();
    held.plane.report(removing(cart));
    await published();
    const revision = held.plane.write(putting(aPolicy('p', 'cart')));
    await published();
    expect(await held.plane.receipts.now(revision)).toMatchObject({
      affected: 1,
      serving: 0,
      laggards: [{ proxy: 'shop/cart', reason: 'pending' }],
    });
    answerAll(sidecar);
    expect(sidecar.heldOf(TYPES.listener).has(guard)).toBe(false);
    expect(await held.plane.receipts.now(revision)).toMatchObject({ affected: 0, laggards: [], lost: [] });
  });

  it('is affected by it until it has what came in its place', async () => {
    const sidecar = await guarding();
    sidecar.disconnect();
    held.plane.report(removing(cart));
    await published();
    const revision = held.plane.write(putting(aPolicy('p', 'cart')));
    await published();
    held.plane.report(putting(cart));
    await published();
    expect((await held.plane.receipts.now(revision)).laggards).toMatchObject([{ reason: 'disconnected' }]);
    sidecar.connect();
    expect((await held.plane.receipts.now(revision)).laggards).toMatchObject([{ reason: 'pending' }]);
    answerAll(sidecar);
    expect((await held.plane.receipts.now(revision)).laggards).toEqual([]);
  });

  it('may hold anything, as long as it comes with what nobody knows', async () => {
    held.plane.write(putting(aService('cart')));
    await published();
    const sidecar = held.plane.join('shop/cart');
    sidecar.wantedOf(TYPES.listener).add(guard);
    sidecar.heldOf(TYPES.listener).set(guard, 'of another server');
    sidecar.connect();
    const revision = held.plane.write(putting(aService('unseen')));
    await published();
    expect((await held.plane.receipts.now(revision)).laggards).toMatchObject([
      { proxy: 'shop/cart', reason: 'pending' },
    ]);
    answerAll(sidecar);
    expect((await held.plane.receipts.now(revision)).laggards).toEqual([]);
  });
});

describe('who is away and calls what there is no more', () => {
  it('is lost to what is changed of that', async () => {
    const service = aService('cart');
    const byHand: Document = { ...cart, spec: { address: '10.0.0.7', ports: [{ port: 9_000 }], health: 'Healthy' } };
    held.plane.write(putting(service, byHand));
    const web = held.connected('shop/web', 'cart');
    for (const type of [TYPES.cluster, TYPES.endpoints]) web.ask(type, ['cart.shop:80'], []);
    answerAll(web);
    await published();
    web.disconnect();
    held.plane.write(removing(service));
    await published();
    await vi.advanceTimersByTimeAsync(LEASE_MS);
    const revision = held.plane.write(removing(byHand));
    await published();
    expect(await held.plane.receipts.now(revision)).toMatchObject({ affected: 0, lost: [{ proxy: 'shop/web' }] });
    const unseen = held.plane.write(putting(aService('unseen')));
    await published();
    expect((await held.plane.receipts.now(unseen)).lost).toEqual([]);
    web.connect();
    answerAll(web);
    expect(await held.plane.receipts.now(revision)).toMatchObject({ affected: 0, lost: [] });
  });
});
