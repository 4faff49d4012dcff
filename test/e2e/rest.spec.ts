/** The REST API as its clients find it: real sockets, a real database, and everything that people send by mistake. */
import { statSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { Receipts } from '../../src/status/receipts.js';
import { RestServer } from '../support/rest-server.js';

let rest: RestServer;
beforeAll(async () => {
  rest = await RestServer.start();
});
afterAll(() => rest[Symbol.asyncDispose]());

const shop = '/v1/namespaces/shop';
const split = (v1: unknown, v2: unknown) => ({
  spec: {
    service: 'cart',
    backends: [
      { service: 'cart-v1', weight: v1 },
      { service: 'cart-v2', weight: v2 },
    ],
  },
});
const policy = (rules: unknown) => ({ spec: { target: { service: 'cart' }, action: 'Allow', rules } });
const servicePorts = (...ports: readonly object[]) => ({
  spec: { ports: ports.map((fields, at) => ({ port: 80 + at, ...fields })) },
});
const LONG = 'a'.repeat(5_000);
const newest = async (): Promise<number> => (await rest.call('GET', '/v1/revisions?limit=1')).body.items[0].number;

it('tells the faults of a query by the name of the parameter', async () => {
  const { status, body } = await rest.call('GET', '/v1/revisions?limit=0&colour=red');
  expect(status).toBe(400);
  expect(body.errors).toEqual([
    { parameter: 'limit', detail: 'limit: it must be a whole number from 1 to 1000' },
    { parameter: 'colour', detail: 'colour: there is no such parameter here' },
  ]);
});

describe('a caller that waits', () => {
  it.each([
    ['PUT', `${shop}/traffic-splits/waiting`, { body: split(1, 2) }],
    ['GET', '/v1/revisions/1/receipt', {}],
  ])('and hangs up is waited for no more: %s', async (method, path, options) => {
    const wait = vi.spyOn(Receipts.prototype, 'wait');
    try {
      const caller = new AbortController();
      const call = rest.call(method, `${path}?wait=5&timeout=10m`, { ...options, signal: caller.signal });
      const hungUp = expect(call).rejects.toThrow('aborted');
      await vi.waitFor(() => expect(wait).toHaveBeenCalled());
      caller.abort();
      await hungUp;
      await expect(wait.mock.results[0]?.value).rejects.toMatchObject({ code: 'not-applied-in-time' });
    } finally {
      wait.mockRestore();
    }
  });
});

describe('a document', () => {
  it('is created, replaced, read, listed and removed, and each change has its revision', async () => {
    const before = await newest();
    const created = await rest.call('PUT', `${shop}/traffic-splits/a`, { body: split(90, 10) });
    expect(created.status).toBe(201);
    expect(created.body).toMatchObject({ revision: before + 1, changed: true });
    expect(created.body.document).toMatchObject({
      apiVersion: 'sluice.mesh/v1',
      kind: 'TrafficSplit',
      metadata: { name: 'a', namespace: 'shop', labels: {}, origin: 'rest', revision: before + 1 },
      spec: split(90, 10).spec,
    });
    const replaced = await rest.call('PUT', `${shop}/traffic-splits/a`, { body: split(50, 50) });
    expect(replaced.status).toBe(200);
    expect(replaced.body).toMatchObject({ revision: before + 2, changed: true });
    const read = await rest.call('GET', `${shop}/traffic-splits/a`);
    expect(read.body).toEqual(replaced.body.document);
    const list = await rest.call('GET', `${shop}/traffic-splits`);
    expect(list.body.items).toContainEqual(read.body);
    const removed = await rest.call('DELETE', `${shop}/traffic-splits/a`);
    expect(removed.status).toBe(200);
    expect(removed.body).toEqual({ revision: before + 3, changed: true });
    expect((await rest.call('GET', `${shop}/traffic-splits/a`)).status).toBe(404);
    expect((await rest.call('DELETE', `${shop}/traffic-splits/a`)).status).toBe(404);
  });

  it('makes no revision when nothing about it changes', async () => {
    const first = await rest.call('PUT', `${shop}/traffic-splits/same`, { body: split(1, 2) });
    const again = await rest.call('PUT', `${shop}/traffic-splits/same`, { body: split(1, 2) });
    expect(again.status).toBe(200);
    expect(again.body).toMatchObject({ revision: first.body.revision, changed: false });
    expect(await newest()).toBe(first.body.revision);
  });

  it('can be sent back as it was read, and then changes nothing', async () => {
    await rest.call('PUT', `${shop}/traffic-splits/round`, { body: split(1, 2) });
    const { body } = await rest.call('GET', `${shop}/traffic-splits/round`);
    const again = await rest.call('PUT', `${shop}/traffic-splits/round`, { body });
    expect(again.body).toMatchObject({ changed: false });
  });

  it('is guarded by the revision that its writer read', async () => {
    const { body } = await rest.call('PUT', `${shop}/traffic-splits/guarded`, { body: split(1, 2) });
    await rest.call('PUT', `${shop}/traffic-splits/guarded`, { body: split(3, 4) });
    const late = { ...split(5, 6), metadata: { revision: body.revision } };
    const refused = await rest.call('PUT', `${shop}/traffic-splits/guarded`, { body: late });
    expect(refused.status).toBe(409);
    expect(refused.body).toMatchObject({ type: 'urn:sluice:problem:stale-revision' });
    const create = { ...split(5, 6), metadata: { revision: 0 } };
    expect((await rest.call('PUT', `${shop}/traffic-splits/guarded`, { body: create })).status).toBe(409);
    expect((await rest.call('GET', `${shop}/traffic-splits/guarded`)).body.spec).toEqual(split(3, 4).spec);
  });

  it('says in its status what it names and what there is not', async () => {
    const { body } = await rest.call('PUT', `${shop}/traffic-splits/dangling`, { body: split(1, 2) });
    const resolved = body.document.status.conditions.find(({ type }: { type: string }) => type === 'ResolvedRefs');
    expect(resolved).toMatchObject({ status: 'False', reason: 'ServiceNotFound' });
    for (const name of ['cart', 'cart-v1', 'cart-v2']) {
      await rest.call('PUT', `${shop}/services/${name}`, { body: { spec: { ports: [{ port: 80 }] } } });
    }
    const later = await rest.call('GET', `${shop}/traffic-splits/dangling`);
    expect(later.body.status.conditions.find(({ type }: { type: string }) => type === 'ResolvedRefs').status).toBe(
      'True',
    );
  });

  it('keeps every label, whatever JavaScript means by its name', async () => {
    const labels = { valueOf: 'x', constructor: 'y', hasOwnProperty: 'z', app: 'b' };
    const target = await rest.call('PUT', `${shop}/authorization-policies/odd-labels`, {
      body: { spec: { target: { labels }, action: 'Deny', rules: [{ from: [{ anyone: 'Everyone' }] }] } },
    });
    expect(target.body.document.spec.target).toEqual({ labels });
    const service = await rest.call('PUT', `${shop}/services/odd-labels`, {
      body: { metadata: { labels, annotations: labels }, spec: { selector: labels, ports: [{ port: 80 }] } },
    });
    expect(service.body.document).toMatchObject({
      metadata: { labels, annotations: labels },
      spec: { selector: labels },
    });
    const read = await rest.call('GET', `${shop}/services/odd-labels`);
    expect(read.body.spec.selector).toEqual(labels);
    for (const key of ['__proto__', '__proto', 'to String', '']) {
      const text = `{"metadata": {"labels": {${JSON.stringify(key)}: "x"}}, "spec": {"ports": [{"port": 80}]}}`;
      expect((await rest.call('PUT', `${shop}/services/odd-labels`, { text })).status, key).toBe(400);
    }
  });

  it('may bring back what is ignored, whatever is in it', async () => {
    const ignored = { origin: null, createdAt: [null], updatedAt: {} };
    const { status, body } = await rest.call('PUT', `${shop}/traffic-splits/ignored`, {
      body: { ...split(1, 1), metadata: ignored, status: { conditions: null } },
    });
    expect(status).toBe(201);
    expect(body.document.metadata.origin).toBe('rest');
  });

  it('is listed page by page, in order of name', async () => {
    const names = ['p1', 'p2', 'p3', 'p4', 'p5'];
    for (const name of [...names].reverse()) {
      await rest.call('PUT', `/v1/namespaces/paged/services/${name}`, { body: { spec: { ports: [{ port: 80 }] } } });
    }
    const seen: string[] = [];
    let next: string | undefined;
    do {
      const page = await rest.call('GET', `/v1/namespaces/paged/services?limit=2${next ? `&cursor=${next}` : ''}`);
      const items = page.body.items as { metadata: { name: string } }[];
      seen.push(...items.map(({ metadata }) => metadata.name));
      next = page.body.next;
    } while (next);
    expect(seen).toEqual(names);
  });

  it('fills in what may be left out', async () => {
    const { body } = await rest.call('PUT', `${shop}/authorization-policies/defaults`, {
      body: policy([{ from: [{ namespace: 'shop' }] }]),
    });
    expect(body.document.spec.mode).toBe('Enforce');
    const workload = await rest.call('PUT', `${shop}/workloads/defaults`, { body: { spec: { address: '10.0.0.1' } } });
    expect(workload.body.document.spec).toEqual({ address: '10.0.0.1', ports: [], health: 'Healthy' });
  });
});

describe('a change that is guarded', () => {
  const path = `${shop}/traffic-splits/tagged`;
  const put = (headers: Record<string, string>, weight = 1) =>
    rest.call('PUT', path, { body: split(weight, 1), headers });

  it('is made when the object is as its writer says, and is answered with 412 otherwise', async () => {
    const created = await put({ 'if-none-match': '*' });
    expect(created.status).toBe(201);
    const tag = String(created.headers.etag);
    expect(tag).toBe(`"${created.body.revision}"`);
    expect((await rest.call('GET', path)).headers.etag).toBe(tag);
    expect((await put({ 'if-none-match': '*' }, 2)).body).toMatchObject({
      type: 'urn:sluice:problem:precondition-failed',
    });
    expect((await put({ 'if-match': '"0"' }, 2)).status).toBe(412);
    expect((await put({ 'if-match': `W/${tag}` }, 2)).status).toBe(412);
    expect((await put({ 'if-none-match': `"0", W/${tag}` }, 2)).status).toBe(412);
    expect((await rest.call('GET', path)).headers.etag).toBe(tag);
    const changed = await put({ 'if-match': `"0", ${tag}` }, 2);
    expect(changed).toMatchObject({ status: 200, body: { changed: true } });
    expect((await rest.call('DELETE', path, { headers: { 'if-match': tag } })).status).toBe(412);
    const removed = await rest.call('DELETE', path, { headers: { 'if-match': String(changed.headers.etag) } });
    expect(removed.status).toBe(200);
    expect((await put({ 'if-match': '*' }, 3)).status).toBe(412);
    expect((await rest.call('DELETE', path, { headers: { 'if-match': '*' } })).status).toBe(404);
  });

  it.each(['7', '"7', '"7" "8"', '*, "7"', ''])('is refused when what guards it is %j', async (guard) => {
    for (const name of ['if-match', 'if-none-match']) expect((await put({ [name]: guard })).status, name).toBe(400);
  });

  it('may be of the settings, too', async () => {
    const { headers, body } = await rest.call('GET', '/v1/mesh-settings');
    const stale = await rest.call('PUT', '/v1/mesh-settings', { body, headers: { 'if-match': '"0"' } });
    expect(stale.status).toBe(412);
    const kept = await rest.call('PUT', '/v1/mesh-settings', { body, headers: { 'if-match': String(headers.etag) } });
    expect(kept.body).toMatchObject({ changed: false });
  });
});

describe('an object that others name', () => {
  const guarded = '/v1/namespaces/guarded';
  const target = (service: string) => ({
    spec: { target: { service }, action: 'Allow', rules: [{ from: [{ namespace: 'guarded' }] }] },
  });

  it('is not deleted unless that is forced, and then what was protected stays protected and the revision says so', async () => {
    const selector = { app: 'till' };
    await rest.call('PUT', `${guarded}/services/till`, { body: { spec: { selector, ports: [{ port: 80 }] } } });
    await rest.call('PUT', `${guarded}/authorization-policies/till`, { body: target('till') });
    const refused = await rest.call('DELETE', `${guarded}/services/till`);
    expect(refused.status).toBe(409);
    expect(refused.body).toMatchObject({
      detail: expect.stringContaining('Service guarded/till is named by AuthorizationPolicy guarded/till'),
      referencedBy: [{ kind: 'AuthorizationPolicy', namespace: 'guarded', name: 'till' }],
    });
    expect((await rest.call('DELETE', `${guarded}/services/till?force=perhaps`)).status).toBe(400);
    const { status, body } = await rest.call('DELETE', `${guarded}/services/till?force=true`);
    expect(status).toBe(200);
    const { changes } = (await rest.call('GET', `/v1/revisions/${body.revision}`)).body;
    expect(changes).toMatchObject([
      { ref: { kind: 'Service' }, forced: [{ kind: 'AuthorizationPolicy', name: 'till' }] },
      { ref: { kind: 'AuthorizationPolicy' }, after: { metadata: { protects: selector } } },
    ]);
    const policy = await rest.call('GET', `${guarded}/authorization-policies/till`);
    expect(policy.body.metadata).toMatchObject({ protects: selector, revision: body.revision });
    const same = await rest.call('PUT', `${guarded}/authorization-policies/till`, { body: policy.body });
    expect(same.body).toMatchObject({ changed: false, document: { metadata: { protects: selector } } });
    await rest.call('PUT', `${guarded}/services/till`, { body: { spec: { ports: [{ port: 80 }] } } });
    const again = await rest.call('GET', `${guarded}/authorization-policies/till`);
    expect(again.body.metadata).not.toHaveProperty('protects');
  });
});

describe('a policy without rules', () => {
  it('is how a service is closed to everybody', async () => {
    const { status, body } = await rest.call('PUT', `${shop}/authorization-policies/closed`, { body: policy([]) });
    expect(status).toBe(201);
    expect(body.document.spec).toMatchObject({ action: 'Allow', rules: [] });
    await rest.call('DELETE', `${shop}/authorization-policies/closed`);
  });
});

describe('what is not a valid document', () => {
  const cases: [string, string, unknown, Record<string, string>][] = [
    [
      'a field that there is not',
      'traffic-splits/x',
      { ...split(1, 1), colour: 'red' },
      { '/colour': 'no field "colour"' },
    ],
    [
      'a field that there is not, deep inside',
      'traffic-splits/x',
      { spec: { service: 'a', backends: [{ service: 'b', weight: 1, wait: 2 }] } },
      { '/spec/backends/0/wait': 'no field "wait"' },
    ],
    ['a weight below 0', 'traffic-splits/x', split(-1, 1), { '/spec/backends/0/weight': 'from 0 to 1000000' }],
    [
      'a weight above 1,000,000',
      'traffic-splits/x',
      split(1, 1_000_001),
      { '/spec/backends/1/weight': 'from 0 to 1000000' },
    ],
    ['a weight that is a text', 'traffic-splits/x', split('90', 10), { '/spec/backends/0/weight': 'whole number' }],
    [
      'a weight that is no whole number',
      'traffic-splits/x',
      split(0.5, 1),
      { '/spec/backends/0/weight': 'whole number' },
    ],
    ['a name that is no DNS label', 'traffic-splits/Cart_1', split(1, 1), { '/metadata/name': 'DNS label' }],
    [
      'a service that is no DNS label',
      'traffic-splits/x',
      { spec: { service: 'a.b', backends: [{ service: 'b', weight: 1 }] } },
      { '/spec/service': 'DNS label' },
    ],
    [
      'a name that is not that of the path',
      'traffic-splits/x',
      { ...split(1, 1), metadata: { name: 'y' } },
      { '/metadata/name': 'must be "x"' },
    ],
    ['another kind', 'traffic-splits/x', { ...split(1, 1), kind: 'Service' }, { '/kind': 'TrafficSplit' }],
    ['another version', 'traffic-splits/x', { ...split(1, 1), apiVersion: 'v9' }, { '/apiVersion': 'sluice.mesh/v1' }],
    ['no spec', 'traffic-splits/x', {}, { '/spec': 'must be an object' }],
    ['a spec that is a list', 'traffic-splits/x', { spec: [] }, { '/spec': 'must be an object' }],
    [
      'backends that are lists',
      'traffic-splits/x',
      { spec: { service: 'a', backends: [[]] } },
      { '/spec/backends/0': 'item 0 of backends must be an object' },
    ],
    ['no backends', 'traffic-splits/x', { spec: { service: 'a', backends: [] } }, { '/spec/backends': 'at least 1' }],
    [
      'a backend twice',
      'traffic-splits/x',
      {
        spec: {
          service: 'a',
          backends: [
            { service: 'b', weight: 1 },
            { service: 'b', weight: 2 },
          ],
        },
      },
      { '/spec/backends/1/service': 'already' },
    ],
    [
      'labels that are none',
      'services/x',
      { metadata: { labels: { 'a b': 'c' } }, spec: { ports: [{ port: 80 }] } },
      { '/metadata/labels': 'label names' },
    ],
    [
      'an empty selector',
      'services/x',
      { spec: { selector: {}, ports: [{ port: 80 }] } },
      { '/spec/selector': 'at least one label' },
    ],
    ['a port twice', 'services/x', { spec: { ports: [{ port: 80 }, { port: 80 }] } }, { '/spec/ports': 'twice' }],
    [
      'a port that is none',
      'services/x',
      { spec: { ports: [{ port: 65_536 }] } },
      { '/spec/ports/0/port': 'from 1 to 65535' },
    ],
    [
      'two names alike',
      'services/x',
      servicePorts({ name: 'a' }, { name: 'a' }),
      { '/spec/ports/1/name': '"a" already' },
    ],
    ['a name that no port has', 'services/x', servicePorts({ name: '80' }), { '/spec/ports/0/name': 'a letter' }],
    [
      'a target that is no port',
      'services/x',
      servicePorts({ targetPort: 0 }),
      { '/spec/ports/0/targetPort': 'from 1' },
    ],
    [
      'a target of no name',
      'services/x',
      servicePorts({ targetPort: 'a_b' }),
      { '/spec/ports/0/targetPort': 'its name' },
    ],
    [
      'a protocol that nobody carries',
      'services/x',
      servicePorts({ protocol: 'UDP' }),
      { '/spec/ports/0/protocol': 'HTTP, HTTP2, GRPC, TCP, TLS' },
    ],
    [
      'the one port that a workload once had',
      'workloads/x',
      { spec: { address: '::1', port: 1 } },
      { '/spec/port': 'there is "ports"' },
    ],
    [
      'two ports that are reached at one',
      'workloads/x',
      { spec: { address: '::1', ports: [{ port: 1, sidecarPort: 2 }, { port: 2 }] } },
      { '/spec/ports/1/port': 'reached at 2 already' },
    ],
    [
      'too many ports',
      'workloads/x',
      { spec: { address: '::1', ports: Array.from({ length: 17 }, (_, at) => ({ port: at + 1 })) } },
      { '/spec/ports': '16' },
    ],
    [
      'a rule for a port that is none',
      'authorization-policies/x',
      policy([{ from: [{ namespace: 'shop' }], to: [{ ports: [0] }] }]),
      { '/spec/rules/0/to/0/ports': 'from 1 to 65535' },
    ],
    [
      'a rule for a port twice',
      'authorization-policies/x',
      policy([{ from: [{ namespace: 'shop' }], to: [{ ports: [1, 1] }] }]),
      { '/spec/rules/0/to/0/ports': 'twice' },
    ],
    [
      'a host name for an address',
      'workloads/x',
      { spec: { address: 'localhost', ports: [{ port: 1 }] } },
      { '/spec/address': 'IP address' },
    ],
    [
      'an address with a zone, which only one machine knows',
      'workloads/x',
      { spec: { address: 'fe80::1%eth0', ports: [{ port: 1 }] } },
      { '/spec/address': 'without a zone' },
    ],
    [
      'an identity of another mesh',
      'workloads/x',
      { spec: { address: '::1', identity: 'spiffe://other/ns/a/sa/b' } },
      { '/spec/identity': '"sluice.local"' },
    ],
    ['an unknown health', 'workloads/x', { spec: { address: '::1', health: 'Fine' } }, { '/spec/health': 'Healthy' }],
    [
      'a rule that names nobody',
      'authorization-policies/x',
      policy([{ from: [] }]),
      { '/spec/rules/0/from': 'at least 1' },
    ],
    [
      'rules that weigh too much',
      'authorization-policies/x',
      policy(
        Array.from({ length: 200 }, (_, rule) => ({
          from: Array.from({ length: 20 }, (__, at) => ({ identity: `spiffe://sluice.local/ns/n${rule}/sa/a${at}` })),
        })),
      ),
      { '/spec/rules': 'divide the policy' },
    ],
    ['a rule without callers', 'authorization-policies/x', policy([{}]), { '/spec/rules/0/from': 'must be an array' }],
    [
      'a Deny without rules',
      'authorization-policies/x',
      { spec: { target: { service: 'a' }, action: 'Deny', rules: [] } },
      { '/spec/rules': 'use Allow without rules' },
    ],
    [
      'a source that is two things',
      'authorization-policies/x',
      policy([{ from: [{ namespace: 'a', anyone: 'Everyone' }] }]),
      { '/spec/rules/0/from': 'exactly one of' },
    ],
    [
      'a source that is nothing',
      'authorization-policies/x',
      policy([{ from: [{}] }]),
      { '/spec/rules/0/from': 'exactly one of' },
    ],
    [
      'an operation that names nothing',
      'authorization-policies/x',
      policy([{ from: [{ namespace: 'a' }], to: [{}] }]),
      { '/spec/rules/0/to': 'at least one of' },
    ],
    [
      'a star in the middle',
      'authorization-policies/x',
      policy([{ from: [{ identity: 'spiffe://sluice.local/ns/*/sa/a' }] }]),
      { '/spec/rules/0/from/0/identity': 'followed by "/*"' },
    ],
    [
      'an identity of another trust domain',
      'authorization-policies/x',
      policy([{ from: [{ identity: 'spiffe://other/ns/a/sa/b' }] }]),
      { '/spec/rules/0/from/0/identity': 'names nobody' },
    ],
    [
      'a path that no request has',
      'authorization-policies/x',
      policy([{ from: [{ namespace: 'a' }], to: [{ paths: ['/a/../b'] }] }]),
      { '/spec/rules/0/to/0/paths': 'after normalising' },
    ],
    [
      'a method in small letters',
      'authorization-policies/x',
      policy([{ from: [{ namespace: 'a' }], to: [{ methods: ['get'] }] }]),
      { '/spec/rules/0/to/0/methods': 'in capitals' },
    ],
    [
      'a target that is two things',
      'authorization-policies/x',
      { spec: { target: { service: 'a', scope: 'Mesh' }, action: 'Allow', rules: [{ from: [{ namespace: 'a' }] }] } },
      { '/spec/target': 'exactly one of' },
    ],
    [
      'an unknown mode',
      'authorization-policies/x',
      { spec: { target: { service: 'a' }, action: 'Allow', mode: 'Maybe', rules: [{ from: [{ namespace: 'a' }] }] } },
      { '/spec/mode': 'Enforce' },
    ],
    [
      'a mode that is null: a rule that denies would only be counted',
      'authorization-policies/x',
      { spec: { target: { service: 'a' }, action: 'Deny', mode: null, rules: [{ from: [{ namespace: 'a' }] }] } },
      { '/spec/mode': 'leave the field out' },
    ],
    [
      'nulls where objects are, told once each',
      'authorization-policies/x',
      { metadata: null, spec: { target: null, action: 'Allow', rules: [null, { from: null }] } },
      {
        '/metadata': 'leave the field out',
        '/spec/target': 'leave the field out',
        '/spec/rules/0': 'leave the item out',
        '/spec/rules/1/from': 'leave the field out',
      },
    ],
    [
      'fields that every JavaScript object has',
      'services/x',
      { constructor: 'x', spec: { toString: 1, ports: [{ port: 80, valueOf: 'x', hasOwnProperty: null }] } },
      {
        '/constructor': 'no field "constructor"',
        '/spec/toString': 'no field "toString"',
        '/spec/ports/0/valueOf': 'no field "valueOf"',
        '/spec/ports/0/hasOwnProperty': 'no field "hasOwnProperty"',
      },
    ],
    [
      'everything at once',
      'traffic-splits/X',
      {
        kind: 'Split',
        spec: {
          service: '',
          backends: [
            { service: 'b', weight: -1 },
            { service: 7, weight: 1 },
          ],
        },
      },
      {
        '/kind': 'TrafficSplit',
        '/metadata/name': 'DNS label',
        '/spec/service': 'DNS label',
        '/spec/backends/0/weight': 'whole number',
        '/spec/backends/1/service': 'DNS label',
      },
    ],
  ];

  it.each(cases)('is refused with a pointer to every fault: %s', async (_, path, body, faults) => {
    const before = await newest();
    const { status, headers, body: problem } = await rest.call('PUT', `${shop}/${path}`, { body });
    expect(status).toBe(400);
    expect(headers['content-type']).toMatch(/^application\/problem\+json/);
    expect(problem).toMatchObject({ type: 'urn:sluice:problem:invalid', status: 400 });
    const found = Object.fromEntries(
      problem.errors.map(({ pointer, detail }: Record<string, string>) => [pointer, detail]),
    );
    expect(Object.keys(found).sort()).toEqual(Object.keys(faults).sort());
    for (const [pointer, words] of Object.entries(faults)) expect(found[pointer]).toContain(words);
    expect(await newest(), 'nothing is stored').toBe(before);
  });

  it.each([
    ['labels', (deep: string) => `{"metadata": {"labels": ${deep}}, "spec": {"ports": [{"port": 80}]}}`],
    ['what is ignored', (deep: string) => `{"status": ${deep}, "spec": {"ports": [{"port": 80}]}}`],
    ['a field that there is not', (deep: string) => `{"colour": ${deep}}`],
  ])('is refused for being nested too deep: %s', async (_, textOf) => {
    for (const [open, close] of [
      ['{"a":', '}'],
      ['[', ']'],
    ] as const) {
      const deep = `${open.repeat(3_000)}1${close.repeat(3_000)}`;
      const { status, body } = await rest.call('PUT', `${shop}/services/deep`, { text: textOf(deep) });
      expect(status).toBe(400);
      expect(body.errors).toMatchObject([{ detail: expect.stringMatching(/nested at most 32 deep/) }]);
    }
  });

  it('is told its first hundred faults, and how many more there are', async () => {
    const fields = Array.from({ length: 80_000 }, (_, index) => [`f${index}`, 1]);
    const { status, body } = await rest.call('PUT', `${shop}/services/x`, { body: Object.fromEntries(fields) });
    expect(status).toBe(400);
    expect(body.errors).toHaveLength(100);
    expect(body.errors[0]).toEqual({ pointer: '/f0', detail: 'there is no field "f0" here' });
    // Those, and that there is no spec.
    expect(body.moreErrors).toBe(80_001 - 100);
    expect(body.detail).toContain('and 80000 more');
  });

  it.each([
    ['backends', 'traffic-splits', (list: unknown[]) => ({ service: 'a', backends: list })],
    ['ports', 'services', (list: unknown[]) => ({ ports: list })],
    [
      'rules',
      'authorization-policies',
      (list: unknown[]) => ({ target: { service: 'a' }, action: 'Allow', rules: list }),
    ],
  ])('is not looked through to its end when it has far too many %s', async (field, collection, specOf) => {
    const spec = specOf(Array.from({ length: 100_000 }, () => ({})));
    const { status, body } = await rest.call('PUT', `${shop}/${collection}/x`, { body: { spec } });
    expect(status).toBe(400);
    expect(body.moreErrors ?? 0).toBeLessThan(1_000);
    expect(JSON.stringify(body.errors)).toContain(`${field} must contain no more than`);
  });

  it('is not looked through to its end when a list of texts in it is far too long', async () => {
    const nulls = Array.from({ length: 100_000 }, () => null);
    const put = (to: object) =>
      rest.call('PUT', `${shop}/authorization-policies/x`, {
        body: policy([{ from: [{ namespace: 'a' }], to: [to] }]),
      });
    const settings = rest.call('PUT', '/v1/mesh-settings', {
      body: { spec: { defaultMode: 'deny', clusterNetworks: nulls } },
    });
    for (const { status, body } of await Promise.all([put({ methods: nulls }), put({ paths: nulls }), settings])) {
      expect(status).toBe(400);
      expect(body.moreErrors).toBeLessThan(1_100);
    }
  });

  it('is refused in the namespace of the control plane', async () => {
    const { status, body } = await rest.call('PUT', '/v1/namespaces/sluice/services/x', {
      body: { spec: { ports: [{ port: 80 }] } },
    });
    expect(status).toBe(400);
    expect(body.errors).toMatchObject([{ pointer: '/metadata/namespace' }]);
  });
});

describe('a request', () => {
  const problems: [string, () => ReturnType<RestServer['call']>, number, string][] = [
    ['without a token', () => rest.call('GET', '/v1/revisions', { token: '' }), 401, 'unauthenticated'],
    [
      'with a wrong token',
      () => rest.call('GET', '/v1/revisions', { token: 'slcapi_0000000000000000_x' }),
      401,
      'unauthenticated',
    ],
    [
      'without a token to a path that leads nowhere',
      () => rest.call('GET', '/nowhere', { token: '' }),
      401,
      'unauthenticated',
    ],
    ['to a path that leads nowhere', () => rest.call('GET', '/v1/nowhere'), 404, 'not-found'],
    [
      'with a method that there is not',
      () => rest.call('PATCH', `${shop}/services/a`, { body: {} }),
      405,
      'method-not-allowed',
    ],
    ['for an object that there is not', () => rest.call('GET', `${shop}/services/missing`), 404, 'not-found'],
    ['for a revision that there is not', () => rest.call('GET', '/v1/revisions/999999'), 404, 'not-found'],
    ['for a revision that is none', () => rest.call('GET', '/v1/revisions/latest/receipt'), 404, 'not-found'],
    ['for an object with a very long name', () => rest.call('GET', `${shop}/services/${LONG}`), 404, 'not-found'],
    [
      'to give an object a very long name',
      () => rest.call('PUT', `${shop}/services/${LONG}`, { body: { spec: { ports: [{ port: 80 }] } } }),
      400,
      'invalid',
    ],
    ['to revoke a token with a very long name', () => rest.call('DELETE', `/v1/tokens/${LONG}`), 404, 'not-found'],
    [
      'that climbs out of the documentation',
      () => rest.call('GET', '/docs/../v1/tokens', { token: '' }),
      404,
      'not-found',
    ],
    ['that climbs out of it in code', () => rest.call('GET', '/docs/%2e%2e', { token: '' }), 404, 'not-found'],
    ['with a method of its own', () => rest.call('FOO', '/v1/revisions'), 400, 'invalid'],
    ['with a method that is none of ours', () => rest.call('PROPFIND', '/v1/revisions'), 405, 'method-not-allowed'],
    ['with a query of 20 KB', () => rest.call('GET', `/v1/nowhere?${'a'.repeat(20_000)}`), 431, 'too-large'],
    [
      'with headers of 20 KB',
      () => rest.call('GET', '/v1/nowhere', { headers: { 'x-much': 'a'.repeat(20_000) } }),
      431,
      'too-large',
    ],
    ['with a path that cannot be decoded', () => rest.call('GET', '/v1/%zz'), 400, 'invalid'],
    ['with malformed JSON', () => rest.call('PUT', `${shop}/services/a`, { text: '{"spec": ' }), 400, 'invalid'],
    [
      'with JSON that poisons prototypes',
      () => rest.call('PUT', `${shop}/services/a`, { text: '{"__proto__": {}}' }),
      400,
      'invalid',
    ],
    ['with no body', () => rest.call('PUT', `${shop}/services/a`), 400, 'invalid'],
    ['with a body that is a list', () => rest.call('PUT', `${shop}/services/a`, { body: [] }), 400, 'invalid'],
    [
      'with a form',
      () =>
        rest.call('PUT', `${shop}/services/a`, {
          text: 'a=b',
          headers: { 'content-type': 'application/x-www-form-urlencoded' },
        }),
      415,
      'unsupported-media-type',
    ],
    [
      'with a body over 1 MiB',
      () => rest.call('PUT', `${shop}/services/a`, { body: { x: 'x'.repeat(1024 * 1024) } }),
      413,
      'too-large',
    ],
    ['with a parameter that there is not', () => rest.call('GET', '/v1/revisions?colour=red'), 400, 'invalid'],
    ['with a limit that is none', () => rest.call('GET', '/v1/revisions?limit=0'), 400, 'invalid'],
    ['with a cursor that is none', () => rest.call('GET', '/v1/revisions?cursor=abc'), 400, 'invalid'],
    ['with a cursor of another list', () => rest.call('GET', '/v1/revisions?cursor=YWZ0ZXI6YWJj'), 400, 'invalid'],
    ['that waits for more than all', () => rest.call('GET', '/v1/revisions/1/receipt?wait=101%25'), 400, 'invalid'],
    ['that waits for an hour', () => rest.call('GET', '/v1/revisions/1/receipt?wait=1&timeout=1h'), 400, 'invalid'],
    [
      'with a timeout and nothing to wait for',
      () => rest.call('GET', '/v1/revisions/1/receipt?timeout=1s'),
      400,
      'invalid',
    ],
  ];

  it.each(problems)('%s is answered with a problem document', async (_, send, status, code) => {
    const answer = await send();
    expect(answer.status).toBe(status);
    expect(answer.headers['content-type']).toMatch(/^application\/problem\+json/);
    expect(answer.body).toMatchObject({ type: `urn:sluice:problem:${code}`, status });
    expect(Object.keys(answer.body)).toEqual(expect.arrayContaining(['title', 'detail', 'instance']));
    expect(answer.text).not.toMatch(/node_modules|at .*\.js/);
  });

  it('without a token is told how to authenticate', async () => {
    const { headers } = await rest.call('GET', '/v1/revisions', { token: '' });
    expect(headers['www-authenticate']).toMatch(/^Bearer/);
  });

  it('that needs no body may say of which type it would be, as curl does when told so for all', async () => {
    const headers = { 'content-type': 'application/json' };
    await rest.call('PUT', `${shop}/traffic-splits/typed`, { body: split(1, 1) });
    expect((await rest.call('GET', `${shop}/traffic-splits/typed`, { headers })).status).toBe(200);
    expect((await rest.call('DELETE', `${shop}/traffic-splits/typed`, { headers })).status).toBe(200);
    await rest.call('PUT', `${shop}/traffic-splits/typed`, { body: split(1, 1) });
    const empty = { ...headers, 'content-length': '0' };
    expect((await rest.call('DELETE', `${shop}/traffic-splits/typed`, { headers: empty })).status).toBe(200);
    expect((await rest.call('PUT', `${shop}/traffic-splits/typed`, { headers })).status).toBe(400);
  });

  it.each(['/livez', '/readyz', '/openapi.json', '/docs'])('to %s needs no token', async (path) => {
    expect((await rest.call('GET', path, { token: '' })).status).toBe(200);
  });

  it('that waits is answered at once when there is no proxy to wait for, however the percent sign is written', async () => {
    for (const wait of ['100%25', '100%']) {
      const { status, body } = await rest.call('PUT', `${shop}/traffic-splits/waiting?wait=${wait}&timeout=10s`, {
        body: split(1, 1),
      });
      expect(status).toBeLessThan(300);
      expect(body.receipt).toMatchObject({ revision: body.revision, affected: 0, serving: 0, laggards: [], lost: [] });
    }
  });

  it('that waits for a proxy that there is not is answered with 504 when its time is over, and stands', async () => {
    const { status, body } = await rest.call('PUT', `${shop}/traffic-splits/late?wait=1&timeout=50ms`, {
      body: split(1, 1),
    });
    expect(status).toBe(504);
    expect(body).toMatchObject({ type: 'urn:sluice:problem:not-applied-in-time', receipt: { affected: 0 } });
    expect((await rest.call('GET', `${shop}/traffic-splits/late`)).body.metadata.revision).toBe(body.revision);
  });

  it('leaves a trace of its author and comment', async () => {
    const { body } = await rest.call('PUT', `${shop}/traffic-splits/why?comment=because%20I%20can`, {
      body: split(7, 7),
    });
    const revision = await rest.call('GET', `/v1/revisions/${body.revision}`);
    expect(revision.body).toMatchObject({
      number: body.revision,
      author: 'admin',
      comment: 'because I can',
      changes: [{ ref: { kind: 'TrafficSplit', namespace: 'shop', name: 'why' }, after: { spec: split(7, 7).spec } }],
    });
  });
});

describe('the settings of the mesh', () => {
  it('are there from the start, and are replaced as a whole', async () => {
    const before = await rest.call('GET', '/v1/mesh-settings');
    expect(before.body).toMatchObject({
      kind: 'MeshSettings',
      metadata: { name: 'mesh' },
      spec: { defaultMode: 'all-authenticated' },
    });
    expect(before.body.metadata).not.toHaveProperty('namespace');
    const put = await rest.call('PUT', '/v1/mesh-settings', {
      body: { spec: { defaultMode: 'cluster-authenticated', clusterNetworks: ['fd00::/8'] } },
    });
    expect(put.body).toMatchObject({ changed: true });
    expect((await rest.call('GET', '/v1/mesh-settings')).body.spec).toEqual({
      defaultMode: 'cluster-authenticated',
      clusterNetworks: ['fd00::/8'],
    });
    await rest.call('PUT', '/v1/mesh-settings', { body: before.body });
  });

  it.each([
    [{ defaultMode: 'open' }, '/spec/defaultMode'],
    [{ defaultMode: 'deny', clusterNetworks: ['10.0.0.0/33'] }, '/spec/clusterNetworks'],
    [{ defaultMode: 'deny', clusterNetworks: ['10.0.0.0'] }, '/spec/clusterNetworks'],
    [{ defaultMode: 'deny', clusterNetworks: ['fe80::%eth0/64'] }, '/spec/clusterNetworks'],
    [{ defaultMode: 'deny', clusterNetworks: 'fd00::/8' }, '/spec/clusterNetworks'],
  ])('are refused when they are %j', async (spec, pointer) => {
    const { status, body } = await rest.call('PUT', '/v1/mesh-settings', { body: { spec } });
    expect(status).toBe(400);
    expect(body.errors.map((fault: { pointer: string }) => fault.pointer)).toContain(pointer);
  });
});

describe('tokens', () => {
  it('begin with one in a file that only its owner can read', () => {
    expect(statSync(rest.server.files.adminToken).mode & 0o777).toBe(0o600);
    expect(statSync(rest.dataDir).mode & 0o077).toBe(0);
  });

  it('are made, listed without their texts, and revoked', async () => {
    const made = await rest.call('POST', '/v1/tokens', { body: { name: 'ci', expiresIn: '90d' } });
    expect(made.status).toBe(201);
    const { token } = made.body as { token: string };
    expect((await rest.call('GET', '/v1/revisions', { token })).status).toBe(200);
    expect((await rest.call('POST', '/v1/tokens', { body: { name: 'ci' } })).status).toBe(409);
    const list = await rest.call('GET', '/v1/tokens');
    expect(list.body.items.map(({ name }: { name: string }) => name)).toEqual(['admin', 'ci']);
    expect(list.text).not.toContain(token.slice(-20));
    expect((await rest.call('DELETE', '/v1/tokens/ci')).status).toBe(204);
    expect((await rest.call('GET', '/v1/revisions', { token })).status).toBe(401);
  });

  it('make a change theirs', async () => {
    const { token } = (await rest.call('POST', '/v1/tokens', { body: { name: 'pipeline' } })).body as { token: string };
    const { body } = await rest.call('PUT', `${shop}/traffic-splits/theirs`, { body: split(1, 1), token });
    expect((await rest.call('GET', `/v1/revisions/${body.revision}`)).body.author).toBe('pipeline');
  });

  it.each([
    [{ name: 'x', expiresIn: '99999999d' }, '/expiresIn', 'from 1s to 3650d'],
    [{ name: 'x', expiresIn: '9999999d' }, '/expiresIn', 'from 1s to 3650d'],
    [{ name: 'x', expiresIn: '3651d' }, '/expiresIn', 'from 1s to 3650d'],
    [{ name: 'x', expiresIn: '0s' }, '/expiresIn', 'from 1s to 3650d'],
    [{ name: 'x', expiresIn: '999ms' }, '/expiresIn', 'from 1s to 3650d'],
    [{ name: 'x', expiresIn: 'soon' }, '/expiresIn', 'from 1s to 3650d'],
    [{ name: 'sluice' }, '/name', 'the server itself'],
    [{ name: 'A token' }, '/name', 'DNS label'],
    [{}, '/name', 'DNS label'],
  ])('are refused for %j', async (body, pointer, words) => {
    const refused = await rest.call('POST', '/v1/tokens', { body });
    expect(refused.status).toBe(400);
    expect(refused.body.errors).toMatchObject([{ pointer, detail: expect.stringContaining(words) }]);
  });

  it('may last from a second to ten years', async () => {
    for (const [name, expiresIn, lifetimeMs] of [
      ['brief', '1s', 1_000],
      ['long', '3650d', 3_650 * 86_400_000],
    ] as const) {
      const { status, body } = await rest.call('POST', '/v1/tokens', { body: { name, expiresIn } });
      expect(status).toBe(201);
      expect(Date.parse(body.expiresAt) - Date.parse(body.createdAt)).toBe(lifetimeMs);
      await rest.call('DELETE', `/v1/tokens/${name}`);
    }
  });

  it('for joining say who the sidecar will be', async () => {
    const made = await rest.call('POST', `${shop}/join-tokens`, {
      body: { name: 'cart-v1', service: 'cart', labels: { version: 'v1' } },
    });
    expect(made.status).toBe(201);
    expect(made.body).toMatchObject({ identity: 'spiffe://sluice.local/ns/shop/sa/cart' });
    expect(made.body.token).toMatch(/^slcjoin_/);
  });

  it.each([
    ['shop', { name: 'X' }, '/name'],
    ['shop', { name: 'x', expiresIn: '25h' }, '/expiresIn'],
    ['shop', { name: 'x', expiresIn: 'soon' }, '/expiresIn'],
    ['shop', { name: 'x', labels: { 'sluice.mesh/service': 'cart' } }, '/labels/sluice.mesh~1service'],
    ['shop', { name: 'x', colour: 'red' }, '/colour'],
    ['sluice', { name: 'control-plane' }, ''],
    ['Shop', { name: 'x' }, ''],
  ])('for joining are refused in %s for %j', async (namespace, body, pointer) => {
    const refused = await rest.call('POST', `/v1/namespaces/${namespace}/join-tokens`, { body });
    expect(refused.status).toBe(400);
    expect(refused.body.errors.map((fault: { pointer: string }) => fault.pointer)).toContain(pointer);
  });
});
