/** Whom a resource is for. */
import { describe, expect, it } from 'vitest';
import { mayHave } from './scope.js';

describe('the sidecar of shop/cart-v1', () => {
  it.each([
    ['its own listener', 'inbound/shop/cart-v1:9001', true],
    ['that of another port of its own', 'inbound/shop/cart-v1:9102', true],
    ['the listener of another', 'inbound/shop/cart-v2:9001', false],
    ['the listener of one whose name begins like its own', 'inbound/shop/cart-v10:9001', false],
    ['the listener of one below its own name', 'inbound/shop/cart-v1/x:9001', false],
    ['what is no port of its own', 'inbound/shop/cart-v1:9001/x', false],
    ['a listener of no port', 'inbound/shop/cart-v1', false],
    ['a service that it calls', 'web.shop:80', true],
  ])('%s', (_, name, byName) => {
    expect(mayHave('shop/cart-v1', name)).toBe(byName);
  });
});
