/** What becomes of requests when the server is told to stop, and what it says of its own health until then. */
import { request } from 'node:https';
import { describe, expect, it } from 'vitest';
import { startSluice } from '../support/sluice.js';
import { RestServer } from '../support/rest-server.js';

const split = { spec: { service: 'cart', backends: [{ service: 'cart-v1', weight: 1 }] } };
const path = '/v1/namespaces/shop/traffic-splits/cart';

describe('a server that is told to stop', () => {
  it('answers a write after its commit, takes nothing on, says that it is not ready, and lives until then', async () => {
    const rest = await RestServer.start({ drainTimeoutMs: '30s' });
    expect((await rest.call('GET', '/readyz', { token: '' })).body).toEqual({ status: 'ok' });
    // Its body is still on the way: the server has begun with it, and cannot be done with it.
    const slow = startPut(rest);
    await slow.begun;
    const closed = rest.server.close();
    const ready = await rest.call('GET', '/readyz', { token: '' });
    expect(ready.status).toBe(503);
    expect(ready.body).toMatchObject({ type: 'urn:sluice:problem:not-ready', checks: { server: { status: 'down' } } });
    expect((await rest.call('GET', '/livez', { token: '' })).status).toBe(200);
    const refused = await rest.call('GET', '/v1/revisions');
    expect(refused.status).toBe(503);
    expect(refused.headers.connection).toBe('close');
    expect(refused.headers['retry-after']).toBe('5');
    slow.finish();
    expect((await slow.answer).status).toBe(201);
    await closed;
    await using again = await RestServer.start({ dataDir: rest.dataDir });
    expect((await again.call('GET', path)).body.spec).toEqual(split.spec);
  });

  it('lets nobody wait for proxies for longer than it drains, and tells them what is committed', async () => {
    const rest = await RestServer.start({ drainTimeoutMs: '0s' });
    const waiting = rest.call('PUT', `${path}?wait=7&timeout=10m`, { body: split });
    await expect.poll(async () => (await rest.call('GET', path)).status).toBe(200);
    await rest.server.close();
    const { status, body } = await waiting;
    expect(status).toBe(504);
    expect(body).toMatchObject({ type: 'urn:sluice:problem:not-applied-in-time', receipt: { serving: 0 } });
  });

  it('ends by itself on SIGTERM, at once when nobody is being answered', async () => {
    await using sluice = await startSluice({ settings: { 'drain-timeout': '1h' } });
    expect(await sluice.stop('SIGTERM')).toMatchObject({ code: 0 });
  });
});

/** A PUT whose body comes in two parts. */
function startPut(rest: RestServer) {
  const { hostname, port } = new URL(rest.server.url);
  const body = JSON.stringify(split);
  const outgoing = request({
    method: 'PUT',
    hostname,
    port,
    path,
    ca: rest.trustAnchors,
    agent: false,
    headers: {
      authorization: `Bearer ${rest.token}`,
      'content-type': 'application/json',
      'content-length': body.length,
      expect: '100-continue',
    },
  });
  const answer = new Promise<{ status: number | undefined }>((resolve, reject) => {
    outgoing.on('error', reject).on('response', (response) => {
      response.resume().on('end', () => resolve({ status: response.statusCode }));
    });
  });
  // The server says this when it has read the head and begins with the request.
  const begun = new Promise<void>((resolve) => outgoing.on('continue', resolve));
  outgoing.flushHeaders();
  return { answer, begun, finish: () => void outgoing.end(body) };
}
