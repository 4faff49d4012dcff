/** What an object's status says of it. */
import { describe, expect, it } from 'vitest';
import { HeldPlane, answerAll, published } from '../../test/support/held-plane.js';
import { aPolicy, aService, aSplit, aWorkload, putting } from '../../test/support/model-documents.js';
import { TYPES } from '../compile/resource.js';
import { refOf, type Document } from '../model/document.js';
import { find } from '../model/mesh.js';
import { Status } from './status.js';

const held = HeldPlane.forEach();

describe('the status of an object', () => {
  const conditions = (document: Document) => {
    const now = find(held.plane.worlds.current.mesh, refOf(document));
    const status = new Status(held.plane.engine, held.plane.fleet, held.plane.receipts);
    return Object.fromEntries((now ? status.conditionsOf(now) : []).map(({ type, ...rest }) => [type, rest]));
  };

  it('is programmed when all whom it concerns have it, and pending before', async () => {
    const cart = aService('cart');
    const web = held.connected('shop/web', 'cart');
    held.plane.write(putting(cart));
    expect(conditions(cart)['Programmed']).toMatchObject({ status: 'False', reason: 'Pending' });
    answerAll(web);
    expect(conditions(cart)['Programmed']).toMatchObject({ status: 'True', reason: 'Programmed' });
  });

  it('is as fresh as the last acknowledgement, the last that was asked for, and the last that joined', () => {
    const status = new Status(held.plane.engine, held.plane.fleet, held.plane.receipts);
    const cart = aService('cart');
    const isProgrammed = (): boolean => {
      const now = find(held.plane.worlds.current.mesh, refOf(cart));
      const conditions = now ? status.conditionsOf(now) : [];
      return conditions.some(({ type, status: is }) => type === 'Programmed' && is === 'True');
    };
    const [web, job] = [held.connected('shop/web', 'cart'), held.connected('shop/job', 'other')];
    held.plane.write(putting(cart));
    expect(isProgrammed()).toBe(false);
    answerAll(web);
    expect(isProgrammed()).toBe(true);
    job.ask(TYPES.route, ['cart.shop:80'], []);
    expect(isProgrammed()).toBe(false);
    answerAll(job);
    expect(isProgrammed()).toBe(true);
    held.plane.join('shop/late');
    expect(isProgrammed()).toBe(false);
  });

  it('is not programmed when it does nothing, and says why', async () => {
    const second = aSplit('second', 'cart', { v2: 1 });
    held.plane.write(putting(aService('cart'), aSplit('first', 'cart', { v1: 1 }), second));
    expect(conditions(second)).toMatchObject({
      Accepted: { status: 'False', reason: 'Conflicted' },
      Programmed: { status: 'False', reason: 'NoEffect', message: expect.stringContaining('is older') as string },
    });
  });

  it('shows why a proxy refuses what was made of it, and what there is not', async () => {
    held.plane.report(putting(aWorkload('web')));
    const web = held.connected('shop/web');
    web.ask(TYPES.listener, ['inbound/shop/web:9000'], []);
    answerAll(web);
    await published();
    web.refuses = () => true;
    const policy = aPolicy('web', 'nothing');
    held.plane.write(putting({ ...policy, spec: { ...(policy.spec as object), target: { scope: 'Namespace' } } }));
    answerAll(web);
    expect(conditions(policy)['Programmed']).toMatchObject({
      status: 'False',
      reason: 'Refused',
      message: expect.stringContaining('shop/web: it refused inbound/shop/web:9000') as string,
    });
    await published();
    held.plane.write(putting(policy));
    expect(conditions(policy)['ResolvedRefs']).toMatchObject({ status: 'False', reason: 'ServiceNotFound' });
  });

  it('of a fact is that of what it is a cause of now', async () => {
    const cart = aWorkload('cart');
    held.plane.write(putting(aService('cart')));
    held.plane.report(putting(cart));
    const web = held.connected('shop/web');
    web.ask(TYPES.endpoints, ['cart.shop:80'], []);
    answerAll(web);
    expect(conditions(cart)['Programmed']).toMatchObject({ status: 'True' });
    await published();
    held.plane.report(putting(aWorkload('cart', '10.0.0.9')));
    expect(conditions(cart)['Programmed']).toMatchObject({ status: 'False', reason: 'Pending' });
    answerAll(web);
    expect(conditions(cart)['Programmed']).toMatchObject({ status: 'True' });
  });
});
