import { describe, expect, it } from 'vitest';
import { readPageQuery, readRevisionPageQuery, writeCursor } from './query.js';

const encoded = (text: string): string => Buffer.from(text).toString('base64url');

describe('a page of names', () => {
  it('begins after the last name of the page before', () => {
    expect(readPageQuery({})).toEqual({ limit: 100, after: '' });
    expect(readPageQuery({ limit: '5', cursor: writeCursor('shop/cart') })).toEqual({ limit: 5, after: 'shop/cart' });
  });
});

describe('a page of revisions', () => {
  it('begins before the last number of the page before', () => {
    expect(readRevisionPageQuery({})).toEqual({ limit: 100 });
    expect(readRevisionPageQuery({ limit: '5', cursor: writeCursor('7') })).toEqual({ limit: 5, before: 7 });
  });

  it.each(['abc', '-1', '1.5', '1e3', ' 7', '0x7', '9'.repeat(16)])('does not begin before "%s"', (text) => {
    expect(() => readRevisionPageQuery({ cursor: encoded(`after:${text}`) })).toThrow(/`next` of an earlier answer/);
  });
});
