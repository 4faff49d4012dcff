/** How much may be done within a while. */
import { expect, it } from 'vitest';
import { Share } from './share.js';

it('a share is a part of all, a few at least, and comes back when its while has gone by', () => {
  const share = new Share(2, 0.1, 100);
  expect([share.left(5, 0), share.left(100, 0)]).toEqual([2, 10]);
  for (const now of [0, 0, 50]) share.take(now);
  expect([share.left(5, 60), share.left(100, 60)]).toEqual([0, 7]);
  expect([share.left(5, 100), share.left(100, 150)]).toEqual([1, 10]);
});
