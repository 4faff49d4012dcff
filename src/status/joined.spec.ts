/** Objects whose effect comes by a change of another one: they have it no sooner than proxies do. */
import { describe, expect, it } from 'vitest';
import { ALL, HeldPlane, answerAll, ended, published } from '../../test/support/held-plane.js';
import { aPolicy, aService, aSplit, aWorkload, putting, removing } from '../../test/support/model-documents.js';
import { TYPES } from '../compile/resource.js';
import { refOf, type Document, type Ref } from '../model/document.js';
import type { Receipt } from './receipt.js';

const held = HeldPlane.forEach();

const waiting = (ref: Ref, revision: number): Promise<Receipt> =>
  held.plane.receipts.wait(revision, { target: ALL, lost: 'ignore' }, 60_000, undefined, '', [ref]);

/** How an object stands, and whether somebody who put it once more would have to wait. */
async function stands(document: Document, revision: number) {
  const { affected, serving } = held.plane.receipts.ofObject(refOf(document), revision);
  return { affected, serving, wait: await ended(waiting(refOf(document), revision)) };
}

describe('an object that takes effect by a change of another', () => {
  it('a split, when the older one goes', async () => {
    const [older, younger] = [aSplit('old', 'cart', { v1: 1 }), aSplit('young', 'cart', { v2: 1 })];
    held.plane.write(putting(aService('cart'), aService('v1'), aService('v2')));
    held.plane.write(putting(older));
    const revision = held.plane.write(putting(younger));
    const web = held.connected('shop/web', 'cart');
    await published();
    answerAll(web);
    const wait = waiting(refOf(younger), revision);
    held.plane.write(removing(older));
    await published();
    expect(await stands(younger, revision)).toEqual({ affected: 1, serving: 0, wait: 'waiting' });
    answerAll(web);
    expect(await stands(younger, revision)).toEqual({ affected: 1, serving: 1, wait: 'served' });
    expect(await ended(wait)).toBe('served');
  });

  it('a policy, when there comes to be a service that it is for', async () => {
    const policy = aPolicy('guard', 'later');
    const workload = aWorkload('cart');
    const cart = held.plane.join('shop/cart');
    held.plane.report(putting(workload));
    cart.connect();
    cart.ask(TYPES.listener, ['inbound/shop/cart:9000'], []);
    await published();
    answerAll(cart);
    const revision = held.plane.write(putting(policy));
    await published();
    answerAll(cart);
    expect(await stands(policy, revision)).toMatchObject({ affected: 0 });
    const { spec, ...later } = aService('later');
    const selector = workload.metadata.labels;
    held.plane.write(putting({ ...later, spec: { ...(spec as object), selector } }));
    await published();
    expect(await stands(policy, revision)).toEqual({ affected: 1, serving: 0, wait: 'waiting' });
    // What others change of the same listener is no matter of this one.
    answerAll(cart);
    held.plane.write(putting(aPolicy('other', 'later', 'front')));
    await published();
    expect(await stands(policy, revision)).toEqual({ affected: 1, serving: 1, wait: 'served' });
  });
});
