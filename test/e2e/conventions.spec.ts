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

/** Where an object of a kind that is called `name` is. */
const pathOf = (kind: Kind, name: string): string => {
  const { collection, namespaced: isNamespaced } = KINDS[kind];
  return isNamespaced ? `/v1/namespaces/shop/${collection}/${name}` : `/v1/${collection}`;
};
const newest = async (): Promise<number> => (await rest.call('GET', '/v1/revisions?limit=1')).body.items[0].number;

describe.each(kinds)('a dry run on %s', (kind) => {
  const marked = { metadata: { labels: { dry: 'run' } } };

  it('says what a write would come to, and changes nothing', async () => {
    const path = pathOf(kind, 'dry');
    const [before, stands] = [await newest(), await rest.call('GET', path)];
    const { status, body } = await rest.call('PUT', `${path}?dryRun=server`, {
      body: { ...marked, spec: specOf(kind) },
    });
    expect(status).toBe(200);
    expect(body).toMatchObject({ revision: before, changed: true, preview: { base: before } });
    expect(body.document).toMatchObject({ kind, ...marked, spec: specOf(kind) });
    const isNew = stands.status === 404;
    expect(body.preview.changes).toMatchObject([{ ref: { kind }, action: isNew ? 'create' : 'replace' }]);
    const label = { op: 'add', path: '/metadata/labels/dry', value: 'run' };
    const whole = { op: 'add', path: '', value: { ...marked, spec: specOf(kind) } };
    expect(body.preview.changes[0].diff).toMatchObject([isNew ? whole : label]);
    expect(await newest()).toBe(before);
    expect((await rest.call('GET', path)).body).toEqual(isNew ? expect.objectContaining({ status: 404 }) : stands.body);
  });

  it('is refused what the write would be refused', async () => {
    const path = `${pathOf(kind, 'dry-refused')}?dryRun=server`;
    const wrong = await rest.call('PUT', path, { body: { spec: { wrong: true } } });
    expect(wrong.status).toBe(400);
    const headers = { 'if-match': '"987654"' };
    expect((await rest.call('PUT', path, { headers, body: { spec: specOf(kind) } })).status).toBe(412);
    const query = await rest.call('PUT', `${path}&wait=1`, { body: { spec: specOf(kind) } });
    expect(query.body.errors).toMatchObject([
      { parameter: 'wait', detail: expect.stringContaining('nothing to wait for') as string },
    ]);
    const client = await rest.call('PUT', path.replace('server', 'client'), { body: { spec: specOf(kind) } });
    expect(client.body.errors).toMatchObject([{ parameter: 'dryRun' }]);
  });
});

describe.each(namespaced)('a dry run of a deletion of %s', (kind) => {
  it('says what it would come to, and removes nothing', async () => {
    const path = pathOf(kind, 'dry-gone');
    expect((await rest.call('DELETE', `${path}?dryRun=server`)).status).toBe(404);
    const { body: made } = await rest.call('PUT', path, { body: { spec: specOf(kind) } });
    const { status, body } = await rest.call('DELETE', `${path}?dryRun=server`);
    expect(status).toBe(200);
    expect(body).toMatchObject({ revision: made.revision, changed: true });
    expect(body.preview.changes).toMatchObject([
      { ref: { kind, namespace: 'shop', name: 'dry-gone' }, action: 'remove', diff: [{ op: 'remove', path: '' }] },
    ]);
    expect((await rest.call('GET', path)).status).toBe(200);
  });
});

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
