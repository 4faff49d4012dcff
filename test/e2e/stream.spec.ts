/** The ports of the sidecars: who gets in and as whom, what they may say, and what a stream proves. */
import * as grpc from '@grpc/grpc-js';
import { X509Certificate } from 'node:crypto';
import { connect } from 'node:tls';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { TYPES, TYPE_ORDER } from '../../src/compile/resource.js';
import { sluice } from '../../src/proto/messages.js';
import { JoinedClient, join, signingRequest, type Stream } from '../support/grpc-client.js';
import { Relay } from '../support/relay.js';
import { RestServer } from '../support/rest-server.js';

let rest: RestServer;
let clients: { close(): void }[] = [];
beforeAll(async () => {
  rest = await RestServer.start({ proxyLeaseMs: '1s' });
});
afterAll(() => rest[Symbol.asyncDispose]());
afterEach(() => {
  for (const client of clients) client.close();
  clients = [];
});

const joined = async (name: string, more: object = {}): Promise<JoinedClient> => {
  const client = await JoinedClient.join(rest, 'shop', { name, ...more });
  clients.push(client);
  return client;
};
const opened = (client: JoinedClient): Stream => {
  const stream = client.stream();
  clients.push(stream);
  return stream;
};
const proxy = async (name: string) => (await rest.call('GET', `/v1/proxies/shop/${name}`)).body;
const workload = async (name: string) => (await rest.call('GET', `/v1/namespaces/shop/workloads/${name}`)).body;
const until = (holds: () => Promise<void>) => vi.waitFor(holds, { timeout: 5_000, interval: 20 });

/** Asks for nothing of any type, as our sidecars begin, and for the listener of `name` if there is to be one. */
function begin(stream: Stream, { namespace, name }: JoinedClient, listeners: readonly string[] = []): void {
  const node = { id: `${namespace}/${name}`, user_agent_name: 'sluice-proxy', user_agent_version: '0.0.0' };
  for (const type of TYPE_ORDER) {
    const names = type === TYPES.listener && listeners.length > 0 ? [...listeners] : ['*'];
    stream.send({
      node,
      type_url: type,
      resource_names_subscribe: names,
      ...(names[0] === '*' && { resource_names_unsubscribe: ['*'] }),
    });
  }
}

describe('joining', () => {
  it('gives the certificate that the maker of the token meant, whatever the request says', async () => {
    const client = await joined('cart-v1', { service: 'cart' });
    const leaf = new X509Certificate(Buffer.from(client.chain[0] ?? []));
    expect(client.spiffeId).toBe('spiffe://sluice.local/ns/shop/sa/cart');
    expect(leaf.subjectAltName).toBe(
      `URI:spiffe://sluice.local/ns/shop/sa/cart, DNS:${client.enrolment}.enrolment.sluice.internal`,
    );
    expect(client.chain).toHaveLength(2);
  });

  it('is refused in the same words for a wrong, a used and an expired token', async () => {
    const make = (expiresIn: string) => rest.joinToken('shop', { name: 'x', expiresIn });
    const { request } = await signingRequest();
    const used = await make('10m');
    await join(rest, used, (await signingRequest()).request);
    const expired = await make('1s');
    const wrong = used.replace(/.$/, used.endsWith('A') ? 'B' : 'A');
    const refusal = (token: string) =>
      join(rest, token, request).then(
        () => undefined,
        ({ code, details }: grpc.ServiceError) => ({ code, details }),
      );
    await until(async () =>
      expect(await refusal(expired).then((told) => told?.code)).toBe(grpc.status.PERMISSION_DENIED),
    );
    const [first, ...others] = await Promise.all([wrong, used, expired, 'open sesame', ''].map(refusal));
    expect(first?.code).toBe(grpc.status.PERMISSION_DENIED);
    for (const other of others) expect(other).toEqual(first);
  });

  it('is the same for a sidecar that did not hear the answer and asks again with the same key', async () => {
    const token = await rest.joinToken('shop', { name: 'asks-again' });
    const { request } = await signingRequest();
    const answers = await Promise.all([1, 2, 3].map(() => join(rest, token, request)));
    const later = await join(rest, token, request);
    expect(new Set([...answers, later].map(({ enrolment }) => enrolment)).size).toBe(1);
    for (const { certificate } of answers)
      expect(certificate?.spiffe_id).toBe('spiffe://sluice.local/ns/shop/sa/asks-again');
    await expect(join(rest, token, (await signingRequest()).request)).rejects.toMatchObject({
      code: grpc.status.PERMISSION_DENIED,
    });
    await rest.call('DELETE', `/v1/enrolments/${later.enrolment}`);
    await expect(join(rest, token, request)).rejects.toMatchObject({ code: grpc.status.PERMISSION_DENIED });
  });

  it('does not use the token up for a request that cannot be signed', async () => {
    const token = await rest.joinToken('shop', { name: 'x' });
    await expect(join(rest, token, new Uint8Array([1, 2, 3]))).rejects.toMatchObject({
      code: grpc.status.INVALID_ARGUMENT,
    });
    await expect(join(rest, token, (await signingRequest()).request)).resolves.toBeDefined();
  });
});

describe('the port of streams', () => {
  const handshake = (options: object) =>
    new Promise<string>((resolve) => {
      const socket = connect({
        host: '127.0.0.1',
        port: rest.server.xdsPort,
        ca: rest.trustAnchors,
        ALPNProtocols: ['h2'],
        ...options,
      });
      // With TLS 1.3 a client learns only after its handshake that the server does not want it.
      socket.on('secureConnect', () => socket.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'));
      socket.on('data', () => (resolve('served'), socket.destroy()));
      socket.on('error', ({ message }) => resolve(message));
      socket.on('close', () => resolve('closed'));
    });

  it('hears nobody who does not prove an identity of the mesh', async () => {
    expect(await handshake({})).not.toBe('served');
    await using other = await RestServer.start();
    const stranger = await JoinedClient.join(other, 'shop', { name: 'cart-v1', service: 'cart' });
    stranger.close();
    expect(await handshake({ cert: stranger.certificate, key: stranger.key })).not.toBe('served');
    const friend = await joined('friend');
    expect(await handshake({ cert: friend.certificate, key: friend.key })).toBe('served');
  });

  it('speaks TLS 1.3 and nothing older', async () => {
    expect(await handshake({ maxVersion: 'TLSv1.2' })).toMatch(/protocol version/);
  });

  it('renews the certificate of whoever is enrolled', async () => {
    const client = await joined('renewing', { serviceAccount: 'renewing' });
    expect((await client.renew()).certificate?.spiffe_id).toBe(client.spiffeId);
  });
});

describe('a report', () => {
  it('registers the workload with the labels of its token, as a fact that no revision holds', async () => {
    const client = await joined('cart-a', { service: 'cart', labels: { version: 'v1' } });
    const newest = async () => (await rest.call('GET', '/v1/revisions?limit=1')).body.items[0].number as number;
    const before = await newest();
    const { revision } = await client.report({ address: '127.0.0.1', ports: [{ port: 9_101 }] });
    expect(Number(revision)).toBe(before);
    const document = await workload('cart-a');
    expect(document).toMatchObject({
      metadata: {
        origin: 'sidecar',
        revision: 0,
        labels: { version: 'v1', 'sluice.mesh/service': 'cart' },
      },
      spec: { address: '127.0.0.1', ports: [{ port: 9_101 }], identity: client.spiffeId, health: 'Healthy' },
    });
    await client.report({ address: '127.0.0.1', ports: [{ port: 9_101 }] });
    expect((await workload('cart-a')).metadata).toEqual(document.metadata);
    expect(await newest()).toBe(before);
  });

  it('can be made for oneself alone', async () => {
    const [mine, theirs] = [await joined('mine'), await joined('theirs')];
    await theirs.report({});
    await expect(mine.report({ name: 'theirs' })).rejects.toMatchObject({ code: grpc.status.PERMISSION_DENIED });
    await expect(mine.report({ name: 'nobody' })).rejects.toMatchObject({ code: grpc.status.PERMISSION_DENIED });
  });

  it.each([
    { address: 'localhost' },
    { address: '' },
    { ports: [{ port: 70_000 }] },
    { ports: [{ port: 1 }], port: 1 },
    { health: sluice.v1.Health.HEALTH_UNSPECIFIED },
  ])('is refused with %j', async (fields) => {
    const client = await joined('faulty');
    await expect(client.report(fields)).rejects.toMatchObject({ code: grpc.status.INVALID_ARGUMENT });
  });

  it('does not take over a workload that was registered by hand, and is not overwritten by hand', async () => {
    await rest.call('PUT', '/v1/namespaces/shop/workloads/by-hand', { body: { spec: { address: '10.0.0.1' } } });
    const client = await joined('by-hand');
    await expect(client.report({})).rejects.toMatchObject({ code: grpc.status.ALREADY_EXISTS });
    const other = await joined('by-sidecar');
    await other.report({});
    const put = await rest.call('PUT', '/v1/namespaces/shop/workloads/by-sidecar', {
      body: { spec: { address: '10.0.0.1' } },
    });
    expect(put.status).toBe(409);
  });

  it('of leaving takes the workload out of the mesh and of the fleet', async () => {
    const client = await joined('leaving');
    await client.report({});
    expect(await proxy('leaving')).toMatchObject({ state: 'disconnected' });
    await client.leave();
    expect((await workload('leaving')).status).toBe(404);
    expect((await proxy('leaving')).status).toBe(404);
    await client.leave();
    await expect(client.report({})).rejects.toMatchObject({ code: grpc.status.PERMISSION_DENIED });
    const again = await joined('leaving');
    await again.report({});
    expect(await workload('leaving')).toMatchObject({ kind: 'Workload' });
  });
});

describe('a stream', () => {
  it('is opened for the workload that its client joined as', async () => {
    const client = await joined('streaming');
    const stream = opened(client);
    begin(stream, client);
    await until(async () =>
      expect(await proxy('streaming')).toMatchObject({
        state: 'connected',
        lag: 0,
        identity: client.spiffeId,
        version: 'sluice-proxy 0.0.0',
      }),
    );
  });

  it.each([
    ['for somebody else', { id: 'shop/somebody-else' }, grpc.status.PERMISSION_DENIED],
    ['for oneself under a longer name', { id: 'shop/pretender/1' }, grpc.status.PERMISSION_DENIED],
    ['for oneself with a slash at the end', { id: 'shop/pretender/' }, grpc.status.PERMISSION_DENIED],
    ['for nobody', { id: '' }, grpc.status.INVALID_ARGUMENT],
    ['without a node', undefined, grpc.status.INVALID_ARGUMENT],
  ])('is not opened %s', async (_, node, code) => {
    const stream = opened(await joined('pretender'));
    stream.send({ type_url: TYPES.cluster, ...(node && { node }) });
    expect(await stream.ended).toMatchObject({ code });
  });

  it('ends when a request names no type', async () => {
    const client = await joined('typeless');
    const stream = opened(client);
    stream.send({ node: { id: 'shop/typeless' } });
    expect(await stream.ended).toMatchObject({ code: grpc.status.INVALID_ARGUMENT });
  });

  it('ends when a later request breaks the rules, and the server goes on', async () => {
    const client = await joined('rude');
    const stream = opened(client);
    begin(stream, client);
    await until(async () => expect(await proxy('rude')).toMatchObject({ state: 'connected' }));
    stream.send({ type_url: '' });
    expect(await stream.ended).toMatchObject({ code: grpc.status.INVALID_ARGUMENT });
    await until(async () => expect(await proxy('rude')).toMatchObject({ state: 'disconnected' }));
  });

  it('gives way to a newer one of the same proxy', async () => {
    const client = await joined('twice');
    const [older, newer] = [opened(client), opened(client)];
    begin(older, client);
    await until(async () => expect(await proxy('twice')).toMatchObject({ state: 'connected' }));
    begin(newer, client);
    expect(await older.ended).toMatchObject({ code: grpc.status.ABORTED });
    expect(await proxy('twice')).toMatchObject({ state: 'connected' });
  });

  it('proves what is served: a write waits for the acknowledgement and for nothing less', async () => {
    const client = await joined('proof', { service: 'proof' });
    await client.report({});
    const stream = opened(client);
    const name = 'inbound/shop/proof:9000';
    begin(stream, client, [name]);
    const first = await stream.next();
    expect(first.resources.map((resource) => resource.name)).toEqual([name]);
    stream.send({ type_url: TYPES.listener, response_nonce: first.nonce });
    const put = rest.call('PUT', '/v1/namespaces/shop/authorization-policies/proof?wait=1&timeout=10s', {
      body: { spec: { target: { service: 'proof' }, action: 'Allow', rules: [{ from: [{ namespace: 'shop' }] }] } },
    });
    const second = await stream.next();
    const behind = await proxy('proof');
    expect(behind.lag).toBeGreaterThan(0);
    stream.send({ type_url: TYPES.listener, response_nonce: second.nonce });
    const { status, body } = await put;
    expect(status).toBe(201);
    expect(body.receipt).toMatchObject({ revision: body.revision });
    expect(await proxy('proof')).toMatchObject({ lag: 0, holds: { Listener: [name] } });
  });

  it('proves it of what takes effect by another change as well, to whoever puts it once more', async () => {
    const client = await joined('later', { service: 'later' });
    await client.report({});
    const stream = opened(client);
    const name = 'inbound/shop/later:9000';
    begin(stream, client, [name]);
    stream.send({ type_url: TYPES.listener, response_nonce: (await stream.next()).nonce });
    const documents = [
      {
        kind: 'AuthorizationPolicy',
        metadata: { namespace: 'shop', name: 'later' },
        spec: { target: { service: 'comes-later' }, action: 'Allow', rules: [] },
      },
    ];
    const again = (query: string) => rest.call('POST', `/v1/change-sets?${query}`, { body: { documents } });
    const path = '/v1/namespaces/shop/authorization-policies/later';
    const put = (query: string) => rest.call('PUT', `${path}?${query}`, { body: { spec: documents[0]?.spec } });
    expect((await put('wait=100%25')).status).toBe(201);
    await rest.call('PUT', '/v1/namespaces/shop/services/comes-later', {
      body: { spec: { selector: { 'sluice.mesh/service': 'later' }, ports: [{ port: 80 }] } },
    });
    const second = await stream.next();
    for (const waited of [await put('wait=100%25&timeout=0s'), await again('wait=100%25&timeout=0s')]) {
      expect(waited).toMatchObject({ status: 504, body: { receipt: { affected: 1, serving: 0 } } });
    }
    const [one, set] = [put('wait=100%25'), again('wait=100%25')];
    stream.send({ type_url: TYPES.listener, response_nonce: second.nonce });
    for (const waited of await Promise.all([one, set])) {
      expect(waited).toMatchObject({ status: 200, body: { changed: false, receipt: { affected: 1, serving: 1 } } });
    }
  });

  it('shows a refusal on the proxy, on the object that caused it, and to whoever waits', async () => {
    const client = await joined('stubborn', { service: 'stubborn' });
    await client.report({});
    const stream = opened(client);
    const name = 'inbound/shop/stubborn:9000';
    begin(stream, client, [name]);
    const first = await stream.next();
    stream.send({ type_url: TYPES.listener, response_nonce: first.nonce });
    const path = '/v1/namespaces/shop/authorization-policies/stubborn';
    const body = {
      spec: { target: { service: 'stubborn' }, action: 'Allow', rules: [{ from: [{ namespace: 'shop' }] }] },
    };
    const put = rest.call('PUT', `${path}?wait=100%25&timeout=30s`, { body });
    const second = await stream.next();
    const [refused] = second.resources;
    const detail = sluice.v1.Refusal.encode({
      resources: [{ name, version: refused?.version ?? '', reason: 'too many rules' }],
    }).finish();
    stream.send({
      type_url: TYPES.listener,
      response_nonce: second.nonce,
      error_detail: {
        code: 3,
        message: 'no',
        details: [{ type_url: 'type.googleapis.com/sluice.v1.Refusal', value: detail }],
      },
    });
    const waited = await put;
    expect(waited.status).toBe(502);
    expect(waited.body).toMatchObject({ type: 'urn:sluice:problem:refused-by-proxy' });
    expect(await proxy('stubborn')).toMatchObject({
      lastRefusal: { type: 'Listener', resource: name, reason: 'too many rules' },
    });
    const programmed = (await rest.call('GET', path)).body.status.conditions.at(-1);
    expect(programmed).toMatchObject({ type: 'Programmed', status: 'False', reason: 'Refused' });
    expect(programmed.message).toContain('shop/stubborn: it refused inbound/shop/stubborn:9000: too many rules');
    await rest.call('DELETE', path);
    // What it still has is sent once more, to be sure of it.
    const third = await stream.next();
    stream.send({ type_url: TYPES.listener, response_nonce: third.nonce });
    await until(async () => expect(await proxy('stubborn')).not.toHaveProperty('lastRefusal'));
  });

  it('that is gone for longer than the lease leaves a workload that gets no calls, until it is back', async () => {
    await using small = await RestServer.start({ proxyLeaseMs: '1s' });
    const health = async () =>
      (await small.call('GET', '/v1/namespaces/shop/workloads/silent')).body.spec.health as string;
    const client = await JoinedClient.join(small, 'shop', { name: 'silent' });
    const witness = await JoinedClient.join(small, 'shop', { name: 'witness' });
    clients.push(client, witness);
    begin(opened(witness), witness);
    await witness.report({});
    await client.report({});
    const stream = client.stream();
    begin(stream, client);
    expect(await health()).toBe('Healthy');
    stream.close();
    await until(async () => expect(await health()).toBe('Unhealthy'));
    expect((await small.call('GET', '/v1/proxies/shop/silent')).body).toMatchObject({ state: 'lost' });
    begin(opened(client), client);
    await until(async () => expect(await health()).toBe('Healthy'));
  });

  it('of too many that are gone at once costs only a bounded share of them its calls', async () => {
    await using small = await RestServer.start({ proxyLeaseMs: '1s' });
    const witness = await JoinedClient.join(small, 'shop', { name: 'witness' });
    clients.push(witness);
    begin(opened(witness), witness);
    await witness.report({});
    const names = Array.from({ length: 12 }, (_, index) => `gone-${index}`);
    for (const name of names) {
      const client = await JoinedClient.join(small, 'shop', { name });
      clients.push(client);
      await client.report({});
    }
    const list = async (path: string) => (await small.call('GET', path)).body.items;
    await until(async () => {
      const states = (await list('/v1/proxies')).map(({ state }: { state: string }) => state);
      expect(states).toEqual([...names.map(() => 'lost'), 'connected']);
    });
    await until(async () => {
      const healths = (await list('/v1/namespaces/shop/workloads')).map(
        ({ spec }: { spec: { health: string } }) => spec.health,
      );
      expect(healths.filter((health: string) => health === 'Unhealthy')).toHaveLength(3);
    });
    // Whoever looks sees that the others are called all the same, and who they are.
    await until(async () => {
      const spared = (await list('/v1/proxies')).filter(({ spared }: { spared?: boolean }) => spared);
      expect(spared).toHaveLength(9);
    });
    const ready = await small.call('GET', '/readyz', { token: '' });
    expect(ready).toMatchObject({
      status: 200,
      body: { status: 'ok', warnings: [expect.stringMatching(/^9 workloads/)] },
    });
    const { text } = await small.call('GET', '/metrics');
    expect(text).toContain('sluice_silent_workloads{outcome="expired"} 3');
    expect(text).toContain('sluice_silent_workloads{outcome="spared"} 9');
  });

  it('of all that stand behind a service costs none of them its calls, while others are heard of', async () => {
    await using small = await RestServer.start({ proxyLeaseMs: '1s' });
    for (const [name, service] of [
      ['cart-1', 'cart'],
      ['cart-2', 'cart'],
      ['web-1', 'web'],
      ['web-2', 'web'],
    ] as const) {
      await small.call('PUT', `/v1/namespaces/shop/services/${service}`, { body: { spec: { ports: [{ port: 80 }] } } });
      const client = await JoinedClient.join(small, 'shop', { name, service });
      clients.push(client);
      await client.report({});
      if (name === 'web-1') begin(opened(client), client);
    }
    const proxies = async () => (await small.call('GET', '/v1/proxies')).body.items as object[];
    await until(async () =>
      expect(await proxies()).toMatchObject([
        { id: 'shop/cart-1', state: 'lost', spared: true },
        { id: 'shop/cart-2', state: 'lost', spared: true },
        { id: 'shop/web-1', state: 'connected' },
        { id: 'shop/web-2', state: 'lost' },
      ]),
    );
    const healths = async () =>
      (await small.call('GET', '/v1/namespaces/shop/workloads')).body.items.map(
        ({ spec }: { spec: { health: string } }) => spec.health,
      ) as string[];
    await until(async () => expect(await healths()).toEqual(['Healthy', 'Healthy', 'Healthy', 'Unhealthy']));
    expect((await proxies())[3]).not.toHaveProperty('spared');
  });

  it('of all that there are costs none of them its calls: it may be the control plane that is deaf', async () => {
    await using small = await RestServer.start({ proxyLeaseMs: '1s' });
    for (const name of ['one', 'other']) {
      const client = await JoinedClient.join(small, 'shop', { name });
      clients.push(client);
      await client.report({});
    }
    await until(async () => {
      const { items } = (await small.call('GET', '/v1/proxies')).body;
      expect(items).toMatchObject([
        { state: 'lost', spared: true },
        { state: 'lost', spared: true },
      ]);
    });
    const { items } = (await small.call('GET', '/v1/namespaces/shop/workloads')).body;
    expect(items).toMatchObject([{ spec: { health: 'Healthy' } }, { spec: { health: 'Healthy' } }]);
  });

  it('ends when its workload is evicted, and is not opened again before its sidecar has joined again', async () => {
    const client = await joined('evicted');
    await client.report({});
    const stream = opened(client);
    begin(stream, client);
    await until(async () => expect(await proxy('evicted')).toMatchObject({ state: 'connected' }));
    await rest.call('DELETE', '/v1/namespaces/shop/workloads/evicted');
    expect(await stream.ended).toMatchObject({ code: grpc.status.PERMISSION_DENIED });
    const again = opened(client);
    begin(again, client);
    expect(await again.ended).toMatchObject({ code: grpc.status.PERMISSION_DENIED });
    await expect(client.report({})).rejects.toMatchObject({ code: grpc.status.PERMISSION_DENIED });
    await expect(client.renew()).rejects.toMatchObject({ code: grpc.status.PERMISSION_DENIED });
  });
});

describe('a service that a policy is for', () => {
  it('is not changed so that a sidecar loses that policy, unless that is forced, and then the revision says so', async () => {
    const shop = '/v1/namespaces/shop';
    const service = (version?: string) => ({
      body: { spec: { selector: { app: 'till', ...(version && { version }) }, ports: [{ port: 80 }] } },
    });
    const target = { service: 'till' };
    await (await joined('till-1', { labels: { app: 'till', version: 'v1' } })).report({});
    await rest.call('PUT', `${shop}/services/till`, service());
    await rest.call('PUT', `${shop}/authorization-policies/till`, {
      body: { spec: { target, action: 'Allow', rules: [{ from: [{ namespace: 'shop' }] }] } },
    });
    const policy = { kind: 'AuthorizationPolicy', namespace: 'shop', name: 'till' };
    const refused = await rest.call('PUT', `${shop}/services/till`, service('v2'));
    expect(refused.status).toBe(409);
    expect(refused.body).toMatchObject({
      detail: expect.stringContaining('Workload shop/till-1'),
      referencedBy: [policy],
    });
    const { status, body } = await rest.call('PUT', `${shop}/services/till?force=true`, service('v2'));
    expect(status).toBe(200);
    expect((await rest.call('GET', `/v1/revisions/${body.revision}`)).body.changes).toMatchObject([
      { ref: { kind: 'Service', name: 'till' }, forced: [policy] },
    ]);
    expect((await rest.call('PUT', `${shop}/services/till`, service())).status).toBe(200);
  });
});

describe('a clock that is wrong for a while', () => {
  afterEach(() => vi.useRealTimers());

  it('ends no enrolment, takes out no workload, and lets everybody come back', async () => {
    const [client, other] = [await joined('timely'), await joined('to-evict')];
    await client.report({});
    await other.report({});
    const stream = opened(client);
    begin(stream, client);
    await until(async () => expect(await proxy('timely')).toMatchObject({ state: 'connected' }));
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 30 * 86_400_000 });
    // Its certificate has ended by that clock, and connections go by it.
    expect(await stream.ended).toMatchObject({ code: grpc.status.UNAVAILABLE });
    // Whoever looks after the fleet has looked since when this has had its effect.
    await rest.call('DELETE', '/v1/namespaces/shop/workloads/to-evict');
    await until(async () =>
      expect((await rest.call('GET', `/v1/enrolments/${other.enrolment}`)).body).toMatchObject({ ended: 'evicted' }),
    );
    vi.useRealTimers();
    expect((await rest.call('GET', `/v1/enrolments/${client.enrolment}`)).body).not.toHaveProperty('ended');
    expect((await workload('timely')).spec).toMatchObject({ health: 'Healthy' });
    begin(opened(client), client);
    await until(async () => expect(await proxy('timely')).toMatchObject({ state: 'connected' }));
  });
});

describe('an enrolment', () => {
  const listed = async (id: string) => (await rest.call('GET', `/v1/enrolments/${id}`)).body;
  const isConnected = (name: string) =>
    until(async () => expect(await proxy(name)).toMatchObject({ state: 'connected' }));

  it('says who came in by which token and who made it, from the join on', async () => {
    const client = await joined('newcomer');
    expect(await listed(client.enrolment)).toMatchObject({
      workload: 'shop/newcomer',
      identity: client.spiffeId,
      invitedBy: 'admin',
      joinToken: expect.stringMatching(/^[0-9a-f]{16}$/),
    });
    expect(await listed(client.enrolment)).not.toHaveProperty('ended');
  });

  it('is one sidecar: another one of the same account cannot speak, stream or leave for it', async () => {
    const account = { serviceAccount: 'replicas' };
    const [one, other] = [await joined('replica-1', account), await joined('replica-2', account)];
    expect(one.spiffeId).toBe(other.spiffeId);
    await other.report({ ports: [{ port: 9_002 }] });
    await expect(one.report({ name: 'replica-2' })).rejects.toMatchObject({ code: grpc.status.PERMISSION_DENIED });
    const stream = opened(one);
    stream.send({ type_url: TYPES.cluster, node: { id: 'shop/replica-2' } });
    expect(await stream.ended).toMatchObject({ code: grpc.status.PERMISSION_DENIED });
    // To evict one ends that one: the other has its certificate renewed as before.
    await rest.call('DELETE', `/v1/enrolments/${one.enrolment}`);
    await expect(one.renew()).rejects.toMatchObject({ code: grpc.status.PERMISSION_DENIED });
    expect((await other.renew()).certificate?.spiffe_id).toBe(other.spiffeId);
  });

  it('keeps its name while it is connected: a second join is refused, and its token stays good', async () => {
    const first = await joined('held');
    begin(opened(first), first);
    await isConnected('held');
    const token = await rest.joinToken('shop', { name: 'held' });
    const { request } = await signingRequest();
    await expect(join(rest, token, request)).rejects.toMatchObject({
      code: grpc.status.FAILED_PRECONDITION,
      details: expect.stringContaining(first.enrolment),
    });
    expect(await proxy('held')).toMatchObject({ state: 'connected' });
    await rest.call('DELETE', `/v1/enrolments/${first.enrolment}`);
    await until(async () => expect((await join(rest, token, request)).name).toBe('held'));
  });

  it('is over for good when another joins for the workload while it is away', async () => {
    const first = await joined('replaced');
    await first.report({});
    const second = await joined('replaced');
    expect(await listed(first.enrolment)).toMatchObject({ ended: 'replaced' });
    await expect(first.report({})).rejects.toMatchObject({ code: grpc.status.PERMISSION_DENIED });
    await second.report({ ports: [{ port: 9_003 }] });
    expect(await workload('replaced')).toMatchObject({ spec: { ports: [{ port: 9_003 }] } });
  });

  it('is not two: who has a copy of its key neither takes its stream nor reports for it', async () => {
    const first = await joined('copied');
    await first.report({ ports: [{ port: 9_004 }] });
    begin(opened(first), first);
    await isConnected('copied');
    const copy = first.copy(rest);
    clients.push(copy);
    const stream = opened(copy);
    begin(stream, copy);
    expect(await stream.ended).toMatchObject({ code: grpc.status.FAILED_PRECONDITION });
    await expect(copy.report({ ports: [{ port: 9_005 }] })).rejects.toMatchObject({
      code: grpc.status.FAILED_PRECONDITION,
    });
    expect(await workload('copied')).toMatchObject({ spec: { ports: [{ port: 9_004 }] } });
    expect(await proxy('copied')).toMatchObject({ state: 'connected' });
  });

  it('that is evicted while it is asked who really is there does not report all the same', async () => {
    const first = await joined('half-gone');
    using relay = await Relay.to(rest.xdsPort);
    const { joinPort, trustAnchors } = rest;
    const holder = first.copy({
      joinPort,
      trustAnchors,
      xdsPort: relay.port,
      joinToken: () => Promise.reject(Error()),
    });
    clients.push(holder);
    begin(opened(holder), holder);
    await isConnected('half-gone');
    // When this is answered, nothing that it has said before is on the way any more.
    await holder.renew();
    relay.mute();
    const asked = relay.toldSomething();
    const report = first.report({ ports: [{ port: 9_006 }] });
    await asked;
    await rest.call('DELETE', `/v1/enrolments/${first.enrolment}`);
    await expect(report).rejects.toMatchObject({ code: grpc.status.PERMISSION_DENIED });
    expect((await workload('half-gone')).status).toBe(404);
  });

  it('that is evicted by its id loses its stream and its workload', async () => {
    const client = await joined('turned-out');
    await client.report({});
    const stream = opened(client);
    begin(stream, client);
    await isConnected('turned-out');
    await rest.call('DELETE', `/v1/enrolments/${client.enrolment}`);
    expect(await stream.ended).toMatchObject({ code: grpc.status.PERMISSION_DENIED });
    await until(async () => expect((await workload('turned-out')).status).toBe(404));
    expect(await listed(client.enrolment)).toMatchObject({ ended: 'evicted' });
  });

  it('may not be renewed in a loop, nor report without end', async () => {
    const client = await joined('busy');
    const codeOf = (call: Promise<unknown>) =>
      call.then(
        () => grpc.status.OK,
        ({ code }: grpc.ServiceError) => code,
      );
    const all = async (count: number, call: () => Promise<unknown>) =>
      Promise.all(Array.from({ length: count }, () => codeOf(call())));
    expect(await all(12, () => client.renew())).toContain(grpc.status.RESOURCE_EXHAUSTED);
    expect(await all(30, () => client.report({}))).toContain(grpc.status.RESOURCE_EXHAUSTED);
  });
});
