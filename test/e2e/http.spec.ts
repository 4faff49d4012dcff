/** What is asked of HTTP itself at the REST door: bodies that are what they look like, methods, heads, and tokens that end. */
import { once } from 'node:events';
import { Agent } from 'node:https';
import { connect as tcp } from 'node:net';
import { connect } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { RestServer, type RestOptions } from '../support/rest-server.js';

let rest: RestServer;
beforeAll(async () => {
  rest = await RestServer.start();
});
afterAll(() => rest[Symbol.asyncDispose]());

const shop = '/v1/namespaces/shop';
const service = '{"spec": {"ports": [{"port": 80}]}}';

describe('a body', () => {
  it.each([
    [
      'a weight twice',
      'traffic-splits',
      '{"spec":{"service":"a","backends":[{"service":"b","weight":90,"weight":10}]}}',
      ['/spec/backends/0/weight'],
    ],
    [
      'a Deny that would become an Allow for everyone',
      'authorization-policies',
      '{"spec":{"target":{"service":"a"},"action":"Deny","action":"Allow","rules":[{"from":[{"anyone":"Everyone"}]}]}}',
      ['/spec/action'],
    ],
    ['a spec twice, and within it', 'services', '{"spec":{"ports":[],"ports":[]},"spec":{}}', ['/spec/ports', '/spec']],
    ['a name twice, once with an escape', 'services', '{"spec":{},"\\u0073pec":{}}', ['/spec']],
  ])('that says %s is refused, with the place', async (_, collection, text, pointers) => {
    const refused = await rest.call('PUT', `${shop}/${collection}/twice`, { text });
    expect(refused.status).toBe(400);
    expect(refused.body.errors.map(({ pointer }: { pointer: string }) => pointer)).toEqual(pointers);
    expect(refused.body.errors[0].detail).toContain('stands twice');
    expect((await rest.call('GET', `${shop}/${collection}/twice`)).status).toBe(404);
  });

  it.each<[string, RestOptions, number]>([
    ['as plain text', { text: service, headers: { 'content-type': 'text/plain' } }, 415],
    ['without a type', { text: service, headers: { 'content-type': '' } }, 415],
    ['packed', { text: service, headers: { 'content-encoding': 'gzip' } }, 415],
    ['in UTF-7', { text: service, headers: { 'content-type': 'application/json; charset=utf-7' } }, 415],
    ['in UTF-16', { text: service, headers: { 'content-type': 'application/json; charset="utf-16le"' } }, 415],
    ['in UTF-8, and saying so', { text: service, headers: { 'content-type': 'application/json; charset=UTF-8' } }, 201],
    ['as it is, and saying so', { text: service, headers: { 'content-encoding': 'identity' } }, 200],
  ])('that comes %s', async (_, options, status) => {
    expect((await rest.call('PUT', `${shop}/services/typed`, options)).status).toBe(status);
  });

  it('that is not UTF-8 is refused', async () => {
    const head = `PUT ${shop}/services/latin HTTP/1.1\r\nHost: sluice\r\nContent-Type: application/json\r\nContent-Length: 9\r\n`;
    const answer = await raw(`${head}Authorization: Bearer ${rest.token}\r\nConnection: close\r\n\r\n{"a":"\xe9"}`);
    expect(answer).toMatch(/^HTTP\/1\.1 400/);
    expect(answer).toContain('the body is not UTF-8');
  });
});

describe('a method that a path does not have', () => {
  it.each([
    ['TRACE', '/v1/tokens', 'GET, HEAD, POST'],
    ['PATCH', `${shop}/services/a`, 'DELETE, GET, HEAD, PUT'],
    ['POST', '/v1/revisions', 'GET, HEAD'],
    ['DELETE', '/v1/mesh-settings', 'GET, HEAD, PUT'],
    ['OPTIONS', '/v1/proxies', 'GET, HEAD'],
    ['PROPFIND', '/v1/revisions/1', 'GET, HEAD'],
    ['POST', '/readyz', 'GET, HEAD'],
    ['PUT', '/docs', 'GET, HEAD'],
  ])('%s %s is answered with those that it has', async (method, path, allow) => {
    const { status, headers, body } = await rest.call(method, path);
    expect(status).toBe(405);
    expect(headers.allow).toBe(allow);
    expect(body).toMatchObject({ type: 'urn:sluice:problem:method-not-allowed', allow: allow.split(', ') });
  });

  it('is not found where the path leads nowhere, and not heard without a token', async () => {
    expect((await rest.call('TRACE', '/v1/nowhere')).status).toBe(404);
    expect((await rest.call('TRACE', '/v1/tokens', { token: '' })).status).toBe(401);
  });
});

describe('the head of a request', () => {
  it('names one host', async () => {
    const answer = await raw(
      `GET /v1/revisions HTTP/1.1\r\nHost: one\r\nHost: two\r\nAuthorization: Bearer ${rest.token}\r\nConnection: close\r\n\r\n`,
    );
    expect(answer).toMatch(/^HTTP\/1\.1 400/);
    expect(answer).toContain('two hosts');
  });

  it.each(['%2e%2e', '..%2fother', 'a.b', 'Shop', '%00', 'a%0Ab'])(
    'asks in a namespace that can be one, not %s',
    async (namespace) => {
      for (const path of [`/v1/namespaces/${namespace}/services`, `/v1/namespaces/${namespace}/services/cart`]) {
        expect((await rest.call('GET', path)).status).toBe(400);
      }
    },
  );
});

describe('the head of an answer', () => {
  it('keeps tokens, and what else the API says, out of every cache', async () => {
    const made = await rest.call('POST', '/v1/tokens', { body: { name: 'uncached' } });
    const join = await rest.call('POST', `${shop}/join-tokens`, { body: { name: 'x' } });
    for (const { headers } of [made, join, await rest.call('GET', '/v1/tokens')]) {
      expect(headers['cache-control']).toBe('no-store');
    }
  });

  it('lets nobody guess types, nor put the documentation into a frame', async () => {
    for (const path of ['/docs', '/v1/revisions', '/v1/nowhere', '/openapi.json']) {
      const { headers } = await rest.call('GET', path);
      expect(headers['x-content-type-options'], path).toBe('nosniff');
      expect(headers['content-security-policy'], path).toContain("frame-ancestors 'none'");
      expect(headers['x-frame-options'], path).toMatch(/deny/i);
    }
  });

  it('lets Swagger UI live: what it loads is of this server, and nothing of it stands in the page', async () => {
    const { text } = await rest.call('GET', '/docs', { token: '' });
    const scripts = [...text.matchAll(/<script([^>]*)>([^<]*)<\/script>/g)];
    expect(scripts.length).toBeGreaterThan(1);
    for (const [, attributes = '', inline = ''] of scripts) {
      expect(inline.trim()).toBe('');
      const [, source = ''] = /src=['"]([^'"]+)/.exec(attributes) ?? [];
      const path = new URL(source, `${rest.server.url}/docs`).pathname;
      expect((await rest.call('GET', path, { token: '' })).status, path).toBe(200);
    }
  });
});

describe('connections on which nobody shows who it is', () => {
  it('take no place from those who do', async () => {
    const { hostname, port } = new URL(rest.server.url);
    let open = 0;
    const idle = await Promise.all(
      Array.from({ length: 300 }, async () => {
        const socket = tcp({ host: hostname, port: Number(port) });
        await once(socket, 'connect');
        open += 1;
        socket.on('error', () => undefined).once('close', () => (open -= 1));
        return socket;
      }),
    );
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    try {
      await expect.poll(() => open).toBeLessThanOrEqual(256);
      expect((await rest.call('GET', '/v1/revisions', { agent })).status).toBe(200);
      // More of them come, and the one connection on which there was a token is still the one.
      idle.push(...Array.from({ length: 300 }, () => tcp({ host: hostname, port: Number(port) })));
      await Promise.all(
        idle.slice(300).map((socket) =>
          once(
            socket.on('error', () => undefined),
            'connect',
          ),
        ),
      );
      expect((await rest.call('GET', '/v1/revisions', { agent })).status).toBe(200);
    } finally {
      agent.destroy();
      for (const socket of idle) socket.destroy();
    }
  });

  it('are closed when they say nothing, before and after the handshake', async () => {
    const { hostname, port } = new URL(rest.server.url);
    const silent = tcp({ host: hostname, port: Number(port) });
    const idle = connect({ host: hostname, port: Number(port), ca: rest.trustAnchors });
    await Promise.all([once(silent, 'close'), once(idle.resume(), 'close')]);
  });
});

describe('a caller that waits', () => {
  it('is answered when its token is revoked', async () => {
    const { body } = await rest.call('POST', '/v1/tokens', { body: { name: 'brief-hope' } });
    const waiting = rest.call('GET', '/v1/revisions/1/receipt?wait=7&timeout=10m', { token: body.token });
    // Comes after it on another connection; that one is certain to be known before the revocation is asked for.
    await untilAuthenticated(body.token);
    await rest.call('DELETE', '/v1/tokens/brief-hope');
    expect((await waiting).status).toBe(401);
  });

  it('is answered when its token expires', async () => {
    const { body } = await rest.call('POST', '/v1/tokens', { body: { name: 'short', expiresIn: '1s' } });
    const path = '/v1/revisions/1/receipt?wait=7&timeout=10m';
    const { status } = await rest.call('GET', path, { token: body.token });
    expect(status).toBe(401);
  });
});

const untilAuthenticated = async (token: string): Promise<void> => {
  expect((await rest.call('GET', '/v1/revisions', { token })).status).toBe(200);
};

/** Sends `text`, each letter a byte, and gives what comes back until the server closes. */
function raw(text: string): Promise<string> {
  const { hostname, port } = new URL(rest.server.url);
  return new Promise((resolve, reject) => {
    let answer = '';
    const socket = connect({ host: hostname, port: Number(port), ca: rest.trustAnchors }, () =>
      socket.write(text, 'latin1'),
    );
    socket.on('data', (part) => (answer += part.toString()));
    socket.on('error', reject).on('close', () => resolve(answer));
  });
}
