/** Whom a resource is for. */
import { describe, expect, it } from 'vitest';
import { mayHave, wildcardCovers } from './scope.js';

describe('the sidecar of shop/cart-v1', () => {
  it.each([
    ['its own listener', 'inbound/shop/cart-v1', true, true],
    ['the listener of another', 'inbound/shop/cart-v2', false, false],
    ['the listener of one whose name begins like its own', 'inbound/shop/cart-v10', false, false],
    ['the listener of one below its own name', 'inbound/shop/cart-v1/x', false, false],
    ['a service that it calls', 'web.shop:80', true, false],
  ])('%s: by name and by wildcard', (_, name, byName, byWildcard) => {
    expect(mayHave('shop/cart-v1', name)).toBe(byName);
    expect(wildcardCovers('shop/cart-v1', name)).toBe(byWildcard);
  });
});
