/** What holds for every kind of document over REST. No kind can opt out: the table is made of the kinds that there are. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { KINDS, type Kind } from '../../src/model/kinds.js';
import { RestServer } from '../support/rest-server.js';

let rest: RestServer;
let examples: ReadonlyMap<Kind, object>;

beforeAll(async () => {
  rest = await RestServer.start();
  examples = await exampleDocuments();
});
afterAll(() => rest[Symbol.asyncDispose]());

/** The spec of the example of each kind, as the OpenAPI document gives it: it works as it stands. */
async function exampleDocuments(): Promise<Map<Kind, object>> {
  const { body } = await rest.call('GET', '/openapi.json', { token: '' });
  const operations = Object.values(body.paths as Record<string, { put?: Put }>).flatMap(({ put }) => put ?? []);
  return new Map(
    (Object.keys(KINDS) as Kind[]).map((kind) => {
      const put = operations.find(({ operationId }) => operationId === `put${kind}`);
      const example = put?.requestBody.content['application/json']?.examples['example']?.value;
      if (!example) throw new Error(`${kind} has no example`);
      return [kind, example.spec];
    }),
  );
}

interface Put {
  readonly operationId: string;
  readonly requestBody: {
    readonly content: Readonly<Record<string, { examples: Record<string, { value: { spec: object } }> }>>;
  };
}

const kinds = Object.keys(KINDS) as Kind[];
const namespaced = kinds.filter((kind) => KINDS[kind].namespaced);
const specOf = (kind: Kind): object => examples.get(kind) ?? {};

describe.each(namespaced)('a list of %s', (kind) => {
  const { collection } = KINDS[kind];
  const put = (namespace: string, name: string, labels: object) =>
    rest.call('PUT', `/v1/namespaces/${namespace}/${collection}/${name}`, {
      body: { metadata: { labels }, spec: specOf(kind) },
    });
  const keys = (items: { metadata: { namespace: string; name: string } }[]): string[] =>
    items.map(({ metadata: { namespace, name } }) => `${namespace}/${name}`);

  beforeAll(async () => {
    for (const namespace of ['list-a', 'list-b'])
      for (const name of ['x', 'y']) expect((await put(namespace, name, { of: name, test: 'list' })).status).toBe(201);
  });

  it('holds all namespaces, page by page, and each page leads to the next', async () => {
    const found: string[] = [];
    let path: string | undefined = `/v1/${collection}?labelSelector=test%3Dlist&limit=3`;
    while (path !== undefined) {
      const { status, body, headers } = await rest.call('GET', path);
      expect(status).toBe(200);
      found.push(...keys(body.items));
      [, path] = /^<([^>]+)>; rel="next"$/.exec(String(headers['link'] ?? '')) ?? [];
      expect(path === undefined).toBe(body.next === undefined);
    }
    expect(found).toEqual(['list-a/x', 'list-a/y', 'list-b/x', 'list-b/y']);
  });

  it('holds what is selected', async () => {
    const listed = async (path: string, query: Record<string, string>) => {
      const { body } = await rest.call('GET', `/v1/${path}?${new URLSearchParams(query).toString()}`);
      return keys(body.items);
    };
    expect(await listed(collection, { labelSelector: 'test=list,of=y' })).toEqual(['list-a/y', 'list-b/y']);
    const field = { fieldSelector: 'metadata.namespace=list-b,metadata.name!=x' };
    expect(await listed(collection, field)).toEqual(['list-b/y']);
    expect(await listed(`namespaces/list-a/${collection}`, { labelSelector: 'of in (x)' })).toEqual(['list-a/x']);
    expect(await listed(`namespaces/list-a/${collection}`, { labelSelector: '!test' })).toEqual([]);
  });

  it('says what is no selector', async () => {
    const { status, body } = await rest.call('GET', `/v1/${collection}?labelSelector=a%3E1&fieldSelector=name%3Dx`);
    expect(status).toBe(400);
    expect(body.errors).toEqual([
      { parameter: 'labelSelector', detail: 'labelSelector: "a>1" is no requirement' },
      { parameter: 'fieldSelector', detail: 'fieldSelector: "name=x" is no requirement' },
    ]);
  });
});
