/** Whom a resource is for. */
import { describe, expect, it } from 'vitest';
import { mayHave } from './scope.js';

describe('the sidecar of shop/cart-v1', () => {
  it.each([
    ['its own listener', 'inbound/shop/cart-v1', true],
    ['the listener of another', 'inbound/shop/cart-v2', false],
    ['the listener of one whose name begins like its own', 'inbound/shop/cart-v10', false],
    ['the listener of one below its own name', 'inbound/shop/cart-v1/x', false],
    ['a service that it calls', 'web.shop:80', true],
  ])('%s', (_, name, byName) => {
    expect(mayHave('shop/cart-v1', name)).toBe(byName);
  });
});
