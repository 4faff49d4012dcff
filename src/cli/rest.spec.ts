import { describe, expect, it } from 'vitest';
import { listAll, Refusal, type RequestOptions } from './rest.js';

/** A list of the numbers below `length`, in pages of at most `most`. */
function listOf(length: number, most: number) {
  const asked: unknown[] = [];
  return {
    asked,
    request: (_method: string, _path: string, { query = {} }: RequestOptions = {}) => {
      asked.push(query);
      const from = Number(query.cursor ?? 0);
      const to = Math.min(from + Math.min(Number(query.limit), most), length);
      const items = Array.from({ length: to - from }, (_, index) => from + index);
      return Promise.resolve({ status: 200, body: { items, ...(to < length && { next: String(to) }) } });
    },
  };
}

describe('a list', () => {
  it.each([
    ['is empty', 0, 10, undefined, 0, 1],
    ['fits on a page', 3, 10, undefined, 3, 1],
    ['ends with a page', 10, 10, undefined, 10, 1],
    ['takes several pages', 25, 10, undefined, 25, 3],
    ['is cut where enough is known', 25, 10, 12, 12, 2],
    ['is asked for no more than is wanted', 25, 10, 4, 4, 1],
  ])('%s', async (_, length, most, limit, got, requests) => {
    const list = listOf(length, most);
    expect(await listAll(list, '/v1/revisions', limit)).toEqual(Array.from({ length: got }, (_, index) => index));
    expect(list.asked).toHaveLength(requests);
  });

  it('goes on while there is a next page, however short or empty this one is', async () => {
    const pages: Record<string, object> = {
      '': { items: [1, 2], next: 'a' },
      a: { items: [], next: 'b' },
      b: { items: [3], next: 'c' },
      c: { items: [4, 5] },
    };
    const list = {
      request: (_method: string, _path: string, { query = {} }: RequestOptions = {}) =>
        Promise.resolve({ status: 200, body: pages[query.cursor ?? ''] }),
    };
    expect(await listAll(list, '/v1/revisions')).toEqual([1, 2, 3, 4, 5]);
    expect(await listAll(list, '/v1/revisions', 3)).toEqual([1, 2, 3]);
  });
});

it('tells of faults that it was not told', () => {
  const errors = [{ pointer: '/spec/colour', detail: 'there is no field "colour" here' }];
  const problem = { type: 'urn:sluice:problem:invalid', title: 'The request is not valid', status: 400, detail: '' };
  expect(new Refusal({ ...problem, errors, moreErrors: 7 }).places).toEqual([
    '/spec/colour: there is no field "colour" here',
    'and 7 more',
  ]);
});
