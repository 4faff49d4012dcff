/** Change sets as a pipeline uses them: whole or not at all, planned and held to the plan, and the set of an owner. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { RestServer, type RestOptions } from '../support/rest-server.js';

let rest: RestServer;
beforeAll(async () => {
  rest = await RestServer.start();
});
afterAll(() => rest[Symbol.asyncDispose]());

const service = (name: string, labels = {}) => ({
  kind: 'Service',
  metadata: { namespace: 'shop', name, labels },
  spec: { ports: [{ port: 80 }] },
});
const split = (name: string, weight: number) => ({
  kind: 'TrafficSplit',
  metadata: { namespace: 'shop', name },
  spec: {
    service: name,
    backends: [
      { service: `${name}-v1`, weight },
      { service: `${name}-v2`, weight: 100 - weight },
    ],
  },
});
const send = (body: unknown, query = '', options: RestOptions = {}) =>
  rest.call('POST', `/v1/change-sets${query}`, { body, ...options });
const newest = async (): Promise<number> => (await rest.call('GET', '/v1/revisions?limit=1')).body.items[0].number;
const statusOf = async (path: string): Promise<number> =>
  (await rest.call('GET', `/v1/namespaces/shop/${path}`)).status;

describe('a change set', () => {
  it('is one revision, in which each object is changed once', async () => {
    const before = await newest();
    const set = { documents: [service('one'), split('one', 90)] };
    const { status, body } = await send(set, '?comment=first&wait=100%25');
    expect(status).toBe(200);
    expect(body).toEqual({
      revision: before + 1,
      changed: true,
      changes: [
        { ref: { kind: 'Service', namespace: 'shop', name: 'one' }, action: 'create' },
        { ref: { kind: 'TrafficSplit', namespace: 'shop', name: 'one' }, action: 'create' },
      ],
      receipt: expect.objectContaining({ revision: before + 1, affected: 0 }) as object,
    });
    const { body: revision } = await rest.call('GET', `/v1/revisions/${before + 1}`);
    expect(revision).toMatchObject({ comment: 'first', changes: [{}, {}] });
    expect((await send(set)).body).toEqual({ revision: before + 1, changed: false, changes: [] });
  });

  it('replaces and removes, and takes the settings of the mesh', async () => {
    await send({ documents: [service('two'), service('two-old')] });
    const settings = (await rest.call('GET', '/v1/mesh-settings')).body;
    const { body } = await send({
      documents: [split('two', 10), { ...settings, metadata: { ...settings.metadata, labels: { by: 'set' } } }],
      remove: [{ kind: 'Service', namespace: 'shop', name: 'two-old' }],
    });
    expect(
      body.changes.map(({ ref, action }: { ref: { kind: string }; action: string }) => [ref.kind, action]),
    ).toEqual([
      ['Service', 'remove'],
      ['TrafficSplit', 'create'],
      ['MeshSettings', 'replace'],
    ]);
  });

  it('is not made at all when any of it cannot be, and all that is wrong is said at once', async () => {
    const before = await newest();
    const { status, body } = await send({
      documents: [
        service('three'),
        { ...split('three', 90), spec: { service: 'three' } },
        { kind: 'Pod', metadata: { name: 'x' }, spec: {} },
        { ...service('Three') },
        { kind: 'MeshSettings', metadata: { name: 'other' }, spec: {} },
        { ...service('here'), metadata: { name: 'here' } },
        7,
      ],
      remove: [{ kind: 'Pod', namespace: 'shop', name: 'x' }],
      colour: 'red',
    });
    expect(status).toBe(400);
    expect(body.errors.map(({ pointer }: { pointer: string }) => pointer).sort()).toEqual([
      '/colour',
      '/documents/1/spec/backends',
      '/documents/2/kind',
      '/documents/3/metadata/name',
      '/documents/4/metadata/name',
      '/documents/5/metadata/namespace',
      '/documents/6',
      '/remove/0/kind',
    ]);
    const missing = await send({ documents: [service('three')], remove: [{ ...GONE, name: 'none' }] });
    expect(missing.status).toBe(404);
    const twice = await send({ documents: [service('three')], remove: [{ ...GONE, name: 'three' }] });
    expect(twice).toMatchObject({ status: 400, body: { errors: [{ detail: TWICE }] } });
    expect(await newest()).toBe(before);
    expect(await statusOf('services/three')).toBe(404);
  });

  it.each([
    ['nothing', {}],
    ['no object', []],
    ['no list', { documents: {} }],
    ['too many', { documents: Array.from({ length: 1_001 }, (_, at) => service(`many-${at}`)) }],
  ])('of %s is refused', async (_, body) => expect(await send(body)).toMatchObject({ status: 400 }));

  it('removes what others name only by force', async () => {
    const policy = {
      kind: 'AuthorizationPolicy',
      metadata: { namespace: 'shop', name: 'guard' },
      spec: { target: { service: 'four' }, action: 'Deny', rules: [{ from: [{ namespace: 'x' }] }] },
    };
    await send({ documents: [service('four'), policy] });
    const remove = [{ ...GONE, name: 'four' }];
    expect(await send({ remove })).toMatchObject({ status: 409, body: { referencedBy: [{ name: 'guard' }] } });
    expect(await send({ remove, force: true })).toMatchObject({ status: 200 });
  });
});

const GONE = { kind: 'Service', namespace: 'shop' };
const TWICE = 'Service shop/three is named twice; a change set names an object once';

it('may be a thousand documents, and has an end', async () => {
  const annotations = { note: 'x'.repeat(4_000) };
  const many = (count: number) =>
    Array.from({ length: count }, (_, at) => {
      const { metadata, ...one } = service(`of-many-${at}`);
      return { ...one, metadata: { ...metadata, annotations } };
    });
  const { status, body } = await send({ documents: many(1_000), owner: 'many' });
  expect(status).toBe(200);
  expect(body.changes).toHaveLength(1_000);
  const documents = many(1).map((one) => ({ ...one, spec: { ports: [], more: 'x'.repeat(8 * 2 ** 20) } }));
  expect(await send({ documents })).toMatchObject({
    status: 413,
    body: { detail: 'the body must have at most 8388608 bytes' },
  });
  expect((await send({ owner: 'many' })).body.changes).toHaveLength(1_000);
});

describe('a plan', () => {
  it('says what it comes to, and is carried out as it was agreed to', async () => {
    await send({ documents: [service('plan'), split('plan', 90)] });
    const before = await newest();
    const set = { documents: [split('plan', 50), service('plan-v1')] };
    const { body: plan } = await send(set, '?dryRun=server');
    expect(plan).toMatchObject({
      revision: before,
      changed: true,
      changes: [{ action: 'replace' }, { action: 'create' }],
    });
    expect(plan.preview.changes[0].diff).toEqual([
      { op: 'replace', path: '/spec/backends/0/weight', value: 50, was: 90 },
      { op: 'replace', path: '/spec/backends/1/weight', value: 50, was: 10 },
    ]);
    // The split named a service that there was not.
    expect(plan.preview.objects).toMatchObject([
      { ref: { kind: 'TrafficSplit', name: 'plan' }, before: [{}, {}], after: [{}] },
    ]);
    expect(await newest()).toBe(before);
    const applied = await send(set, `?plan=${plan.preview.hash}`);
    expect(applied).toMatchObject({ status: 200, body: { revision: before + 1, changes: plan.changes } });
  });

  it('is refused when the ground has moved, with what it comes to now', async () => {
    await send({ documents: [service('moved'), split('moved', 90)] });
    const set = { documents: [split('moved', 50)] };
    const { body: plan } = await send(set, '?dryRun=server');
    await send({ documents: [split('moved', 70)] });
    const refused = await send(set, `?plan=${plan.preview.hash}`);
    expect(refused).toMatchObject({
      status: 412,
      body: {
        type: 'urn:sluice:problem:precondition-failed',
        preview: {
          changes: [
            {
              diff: [
                { was: 70, value: 50 },
                { was: 30, value: 50 },
              ],
            },
          ],
        },
      },
    });
    expect((await send(set, `?dryRun=server&plan=${plan.preview.hash}`)).status).toBe(412);
    // Something else was changed: that is no matter.
    const { hash } = refused.body.preview;
    await send({ documents: [service('beside')] });
    expect((await send(set, `?plan=${hash}`)).status).toBe(200);
  });

  it('is not just any word', async () => {
    expect(await send({ documents: [service('any')] }, '?plan=abc')).toMatchObject({
      status: 400,
      body: { errors: [{ parameter: 'plan' }] },
    });
  });
});

describe('the set of an owner', () => {
  it('is all that the owner has: what is left out goes', async () => {
    await send({ documents: [service('a'), service('b')], owner: 'team' });
    await send({ documents: [service('c')] });
    const { body: plan } = await send({ documents: [service('b')], owner: 'team' }, '?dryRun=server');
    expect(plan.changes).toEqual([{ ref: { ...GONE, name: 'a' }, action: 'remove' }]);
    expect((await send({ documents: [service('b')], owner: 'team' })).status).toBe(200);
    expect(await Promise.all(['a', 'b', 'c'].map((name) => statusOf(`services/${name}`)))).toEqual([404, 200, 200]);
    const { body } = await rest.call('GET', '/v1/services?labelSelector=sluice.mesh%2Fowner%3Dteam');
    expect(body.items).toMatchObject([{ metadata: { name: 'b' } }]);
    expect((await send({ owner: 'team' })).body).toMatchObject({ changed: true });
    expect(await statusOf('services/b')).toBe(404);
    const nothing = await send({ owner: 'team' }, '?wait=100%25');
    expect(nothing).toMatchObject({ status: 200, body: { changed: false, revision: await newest() } });
  });

  it('never takes the settings of the mesh away: what it began with may be more open', async () => {
    const { spec } = (await rest.call('GET', '/v1/mesh-settings')).body;
    const settings = (defaultMode: string) => ({ kind: 'MeshSettings', spec: { ...spec, defaultMode } });
    await send({ documents: [settings('deny')], owner: 'closers' });
    await send({ owner: 'closers' });
    expect((await rest.call('GET', '/v1/mesh-settings')).body.spec.defaultMode).toBe('deny');
    const remove = [{ kind: 'MeshSettings', namespace: 'shop', name: 'mesh' }];
    expect(await send({ remove })).toMatchObject({
      status: 409,
      body: { detail: expect.stringMatching(/always there/) },
    });
    await send({ documents: [settings(spec.defaultMode)] });
  });

  it('takes nothing from another owner, and what nobody has it may take', async () => {
    await send({ documents: [service('theirs')], owner: 'them' });
    await send({ documents: [service('free')] });
    const refused = await send({ documents: [service('theirs'), service('free')], owner: 'us' });
    expect(refused.status).toBe(409);
    expect(refused.body.detail).toMatch(/^Service shop\/theirs belongs to owner "them"/);
    expect((await send({ documents: [service('free')], owner: 'us' })).status).toBe(200);
  });
});
