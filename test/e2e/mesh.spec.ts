/** Stories of a whole mesh, with real processes: what its users do, and what befalls them. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Authority } from '../../src/identity/authority.js';
import { spiffeId } from '../../src/model/names.js';
import { callDirectly, doorsOf } from '../support/direct-call.js';
import { JoinedClient, join as joinWith, signingRequest } from '../support/grpc-client.js';
import type { Answer } from '../support/http-call.js';
import { until } from '../support/processes.js';
import type { Written } from '../support/rest-client.js';
import { startSluice, type Sluice } from '../support/sluice.js';
import type { Workload } from '../support/workload.js';

const service = (name: string, selector?: Record<string, string>, protocol = 'HTTP'): Written => ({
  kind: 'Service',
  metadata: { name },
  spec: { ...(selector && { selector }), ports: [{ port: 80, protocol }] },
});
const split = (v1: number, v2: number): Written => ({
  kind: 'TrafficSplit',
  metadata: { name: 'cart' },
  spec: {
    service: 'cart',
    backends: [
      { service: 'cart-v1', weight: v1 },
      { service: 'cart-v2', weight: v2 },
    ],
  },
});
const identity = (account: string) => spiffeId({ trustDomain: 'sluice.local', namespace: 'shop', account });
const allow = (name: string, target: string, ...accounts: string[]): Written => ({
  kind: 'AuthorizationPolicy',
  metadata: { name },
  spec: {
    target: { service: target },
    action: 'Allow',
    rules: accounts.map((account) => ({ from: [{ identity: identity(account) }] })),
  },
});
const version = (v: string) => ({ 'sluice.mesh/service': 'cart', version: v });

/** Makes calls one after the other until it is told to stop, and gives every answer. */
function keepCalling(caller: Workload, url: string): () => Promise<Answer[]> {
  const answers: Answer[] = [];
  let stopped = false;
  const calling = (async () => {
    while (!stopped) answers.push(await caller.call(url));
  })();
  // Whoever stops it hears of its failure; a test that has failed before that says enough.
  calling.catch(() => undefined);
  return async () => {
    stopped = true;
    await calling;
    return answers;
  };
}
const counts = (answers: readonly Answer[]): Record<string, number> =>
  answers.reduce<Record<string, number>>((sums, { status, json }) => {
    const key = status === 200 ? String(json.workload) : String(status);
    return { ...sums, [key]: (sums[key] ?? 0) + 1 };
  }, {});
const callTimes = async (caller: Workload, url: string, times: number): Promise<Record<string, number>> => {
  const answers: Answer[] = [];
  for (let turn = 0; turn < times; turn += 1) answers.push(await caller.call(url));
  return counts(answers);
};

describe('a shop', () => {
  let sluice: Sluice;
  let web: Workload;
  let job: Workload;
  let v1: Workload;
  let v2: Workload;

  beforeAll(async () => {
    sluice = await startSluice();
    for (const document of [service('cart'), service('cart-v1', version('v1')), service('cart-v2', version('v2'))]) {
      await sluice.rest.put(document);
    }
    [web, job, v1, v2] = await Promise.all([
      sluice.workload('web', { service: 'web' }),
      sluice.workload('job', { onlyCalls: true }),
      sluice.workload('cart-v1', { service: 'cart', labels: { version: 'v1' } }),
      sluice.workload('cart-v2', { service: 'cart', labels: { version: 'v2' } }),
    ]);
  }, 60_000);
  afterAll(() => sluice[Symbol.asyncDispose]());
  afterEach(async () => {
    for (const workload of [web, job, v1, v2]) workload.resume();
    if (sluice.server.ended) await sluice.start();
    await sluice.rest.remove({ kind: 'AuthorizationPolicy', metadata: { name: 'cart' } });
    await sluice.rest.converged();
  });

  it('shares its traffic by weight', async () => {
    const { status, body } = await sluice.rest.put(split(90, 10), { wait: '100%', timeout: '10s' });
    expect(status).toBe(201);
    expect(body.receipt).toMatchObject({ revision: body.revision, laggards: [], lost: [] });
    expect(body.receipt.serving).toBe(body.receipt.affected);
    expect(await callTimes(web, 'http://cart.shop/', 200)).toEqual({ 'shop/cart-v1': 180, 'shop/cart-v2': 20 });
  });

  it('moves all of it: once the receipt is there, not one request goes the old way, and none is lost on the way', async () => {
    await sluice.rest.put(split(50, 50), { wait: '100%' });
    const stop = keepCalling(job, 'http://cart.shop/');
    const { body } = await sluice.rest.put(split(0, 100), { wait: '100%', timeout: '10s' });
    expect(body.receipt.laggards).toEqual([]);
    expect(await callTimes(web, 'http://cart.shop/', 200)).toEqual({ 'shop/cart-v2': 200 });
    const meanwhile = await stop();
    expect(meanwhile.filter(({ status }) => status !== 200)).toEqual([]);
  });

  it('lets only web call cart, and tells job the verdict', async () => {
    await sluice.rest.put(split(0, 100));
    await sluice.rest.put(allow('cart', 'cart', 'web'), { wait: '100%' });
    expect((await web.call('http://cart.shop/')).status).toBe(200);
    const denied = await job.call('http://cart.shop/items');
    expect(denied.status).toBe(403);
    expect(denied.headers['content-type']).toContain('application/problem+json');
    expect(denied.json).toMatchObject({
      type: 'urn:sluice:problem:denied',
      status: 403,
      workload: 'shop/cart-v2',
      verdict: { decision: 'deny', rule: null, closedBy: ['shop/cart'] },
    });
    expect(denied.json.detail).toContain(identity('job'));
  });

  it('names the proxy that stands still when a write waits for it, and has it catch up', async () => {
    v1.pause();
    const late = await sluice.rest.put(split(1, 99), { wait: '100%', timeout: '500ms' });
    // The proxy of v1 serves nobody's route: it need not be told of the split, so a policy is what it must hear of.
    expect(late.status).toBe(200);
    const policy = await sluice.rest.put(allow('cart', 'cart', 'web', 'job'), { wait: '100%', timeout: '500ms' });
    expect(policy.status).toBe(504);
    // It concerns those whom it protects, and nobody else.
    expect(policy.body.receipt).toMatchObject({ affected: 2, serving: 1, laggards: [{ proxy: 'shop/cart-v1' }] });
    expect(policy.body.detail).toContain('shop/cart-v1');
    v1.resume();
    await sluice.rest.converged();
    const { body } = await sluice.rest.get(`/v1/revisions/${policy.body.revision}/receipt`);
    expect(body).toMatchObject({ affected: 2, serving: 2, laggards: [] });
  });

  it('goes on when its control plane is killed, and is led again when it is back', async () => {
    await sluice.rest.put(split(50, 50), { wait: '100%' });
    await sluice.rest.put(allow('cart', 'cart', 'web'), { wait: '100%' });
    const stop = keepCalling(web, 'http://cart.shop/');
    await sluice.stop('SIGKILL');
    expect(Object.keys(await callTimes(web, 'http://cart.shop/', 20)).sort()).toEqual(['shop/cart-v1', 'shop/cart-v2']);
    expect((await job.call('http://cart.shop/')).status).toBe(403);
    await sluice.start();
    await sluice.rest.converged();
    await sluice.rest.put(split(100, 0), { wait: '100%' });
    expect(await callTimes(web, 'http://cart.shop/', 20)).toEqual({ 'shop/cart-v1': 20 });
    const meanwhile = await stop();
    expect(meanwhile.filter(({ status }) => status !== 200)).toEqual([]);
  });

  it('asks for nothing that it holds when its control plane is back', async () => {
    await sluice.rest.put(split(50, 50), { wait: '100%' });
    await web.call('http://cart.shop/');
    const updates = () => web.metric('sluice_xds_updates_total');
    const before = await updates();
    await sluice.restart('SIGKILL');
    await sluice.rest.converged();
    expect(await updates()).toBe(before);
  });

  it('speaks HTTP/2 from end to end to those who speak it', async () => {
    await sluice.rest.put(split(100, 0), { wait: '100%' });
    const [one, two] = [await web.call('http://cart.shop/'), await web.call('http://cart.shop/', { version: '2' })];
    expect(one.json.version).toBe('1.1');
    expect(two.json.version).toBe('2.0');
    const posted = await web.call('http://cart.shop/a?b=c', {
      version: '2',
      method: 'POST',
      body: 'x'.repeat(100_000),
    });
    expect(posted.json).toMatchObject({ method: 'POST', path: '/a?b=c', body: 'x'.repeat(100_000) });
  });

  it('answers gRPC in its own way when it denies', async () => {
    await sluice.rest.put(split(100, 0));
    await sluice.rest.put(allow('cart', 'cart', 'web'), { wait: '100%' });
    const headers = { 'content-type': 'application/grpc', te: 'trailers' };
    const denied = await job.call('http://cart.shop/shop.Cart/Get', { version: '2', method: 'POST', headers });
    expect(denied.status).toBe(200);
    expect(denied.headers).toMatchObject({ 'grpc-status': '7' });
  });

  it('turns away who cannot prove who it is, and counts each by reason', async () => {
    const door = v1.addresses.inbound ?? '';
    const doors = doorsOf(sluice);
    const refused = (reason: string) => v1.metric('sluice_inbound_refused_connections_total', { reason });
    const stranger = await startSluice();
    try {
      const foreign = await JoinedClient.join(doorsOf(stranger), 'shop', { name: 'web', service: 'web' });
      foreign.close();
      const past = () => new Date(Date.now() - 10 * 86_400_000);
      const authority = await Authority.open(join(sluice.home, 'authority'), 'sluice.local', past);
      const old = await authority.issueWithKey(identity('web'), []);
      const { trustAnchors } = doors;
      const cases = [
        { reason: 'no_certificate', credentials: { trustAnchors } },
        { reason: 'unknown_issuer', credentials: { certificate: foreign.certificate, key: foreign.key, trustAnchors } },
        { reason: 'expired', credentials: { certificate: old.chainPem, key: old.keyPem, trustAnchors } },
      ];
      for (const { reason, credentials } of cases) {
        const before = await refused(reason);
        await expect(callDirectly(door, credentials), reason).rejects.toThrow();
        await until(`${reason} is counted`, async () => (await refused(reason)) === before + 1);
      }
    } finally {
      await stranger[Symbol.asyncDispose]();
    }
  });

  it('lets a workload go without losing a request', async () => {
    await sluice.rest.remove({ kind: 'TrafficSplit', metadata: { name: 'cart' } });
    const third = await sluice.workload('cart-v3', { service: 'cart', labels: { version: 'v1' } });
    await until(
      'the third gets calls',
      async () => (await callTimes(web, 'http://cart.shop/', 3))['shop/cart-v3'] === 1,
    );
    const stop = keepCalling(web, 'http://cart.shop/');
    const called = () => third.metric('sluice_inbound_requests_total');
    const before = await called();
    await until('it is being called', async () => (await called()) > before);
    expect(await third.stop()).toMatchObject({ code: 143 });
    const answers = await stop();
    expect(answers.filter(({ status }) => status !== 200)).toEqual([]);
    expect(counts(answers)).toHaveProperty('shop/cart-v3');
    expect((await sluice.rest.get('/v1/namespaces/shop/workloads/cart-v3')).status).toBe(404);
  });

  it('lets a program that stops answering get no calls', async () => {
    const sick = await sluice.workload('cart-sick', {
      service: 'cart',
      program: (port) => [process.execPath, FRAIL, String(port)],
    });
    await web.call('http://cart.shop/').then(() => fetch(`http://127.0.0.1:${sick.port}/fall-ill`));
    await until('it is known to be ill', async () => {
      const { body } = await sluice.rest.get('/v1/namespaces/shop/workloads/cart-sick');
      return body.spec.health === 'Unhealthy';
    });
    await sluice.rest.converged();
    expect(await callTimes(web, 'http://cart.shop/', 10)).not.toHaveProperty('502');
    await sick.stop();
  });
});

const FRAIL = join(import.meta.dirname, '..', 'support', 'frail.mjs');

describe('a sidecar', () => {
  it('that is started with no control plane serves what it last had', async () => {
    await using sluice = await startSluice();
    await sluice.rest.put(service('cart'));
    const web = await sluice.workload('web', { service: 'web' });
    const cart = await sluice.workload('cart', { service: 'cart' });
    await sluice.rest.put(allow('cart', 'cart', 'web'), { wait: '100%' });
    expect((await web.call('http://cart.shop/')).status).toBe(200);
    await until('what it has is on disk', () =>
      /ClusterLoadAssignment[^]*cart\.shop:80/.test(readFileSync(join(web.stateDir, 'last-config.bin'), 'latin1')),
    );
    await sluice.stop('SIGKILL');
    await web.restart('SIGKILL');
    expect((await web.call('http://cart.shop/')).json).toMatchObject({ workload: 'shop/cart' });
    expect((await web.call('http://basket.shop/')).status).toBe(503);
    expect(cart.sidecar.ended).toBeUndefined();
    await sluice.start();
    await sluice.rest.converged();
    await until('it knows more again', async () => (await web.call('http://basket.shop/')).status === 502);
  });

  it('that is started again is where it was, and obeys from its first answer on what was said meanwhile', async () => {
    await using sluice = await startSluice();
    await sluice.rest.put(service('cart'));
    await using cart = await sluice.workload('cart', { service: 'cart' });
    const doors = doorsOf(sluice);
    const job = await JoinedClient.join(doors, 'shop', { name: 'job' });
    const { inbound } = cart.addresses;
    const callCart = () =>
      callDirectly(inbound ?? '', { certificate: job.certificate, key: job.key, trustAnchors: doors.trustAnchors });
    expect((await callCart()).status).toBe(200);
    await until('what it has is on disk', () =>
      readFileSync(join(cart.stateDir, 'last-config.bin'), 'latin1').includes(`inbound/shop/cart:${cart.port}`),
    );
    await cart.stop();
    await sluice.rest.put(allow('cart', 'cart', 'web'));
    const [first] = await Promise.all([until('it answers', () => callCart().catch(() => undefined)), cart.start()]);
    expect(first).toMatchObject({ status: 403 });
    expect(cart.addresses.inbound).toBe(inbound);
    job.close();
  });

  it('that refuses a resource keeps the old one in force, and the object shows why', async () => {
    await using sluice = await startSluice();
    await sluice.rest.put(service('cart'));
    const web = await sluice.workload('web', { service: 'web' });
    const job = await sluice.workload('job', { onlyCalls: true });
    const cart = await sluice.workload('cart', { service: 'cart', env: { SLUICE_MAX_RULES: '2' } });
    await sluice.rest.put(allow('cart', 'cart', 'web'), { wait: '100%' });
    expect((await job.call('http://cart.shop/')).status).toBe(403);
    const refused = await sluice.rest.put(allow('cart', 'cart', 'web', 'job', 'ada'), { wait: '100%', timeout: '20s' });
    expect(refused.status).toBe(502);
    expect(refused.body.receipt.laggards).toMatchObject([{ proxy: 'shop/cart', reason: 'refused' }]);
    expect((await web.call('http://cart.shop/')).status).toBe(200);
    expect((await job.call('http://cart.shop/')).status).toBe(403);
    const shown = await sluice.rest.get('/v1/namespaces/shop/authorization-policies/cart');
    const programmed = shown.body.status.conditions.find(({ type }: { type: string }) => type === 'Programmed');
    expect(programmed).toMatchObject({ status: 'False', reason: 'Refused' });
    expect(programmed.message).toMatch(/shop\/cart: it refused inbound\/shop\/cart:\d+: .*3.*2/);
    expect((await sluice.rest.get('/v1/proxies/shop/cart')).body.lastRefusal).toMatchObject({
      resource: `inbound/shop/cart:${cart.port}`,
    });
    const mended = await sluice.rest.put(allow('cart', 'cart', 'web', 'job'), { wait: '100%', timeout: '20s' });
    expect(mended.body.receipt).toMatchObject({ affected: 1, serving: 1 });
    expect((await job.call('http://cart.shop/')).status).toBe(200);
  });

  it('does not start with a join token that is not good, and only the log of the server says why', async () => {
    await using sluice = await startSluice();
    const doors = doorsOf(sluice);
    const { request } = await signingRequest();
    const used = await doors.joinToken('shop', { name: 'cart' });
    await joinWith(doors, used, (await signingRequest()).request);
    await expect(joinWith(doors, used, request)).rejects.toMatchObject({
      details: expect.not.stringMatching(/used|expired/) as string,
    });
    await expect(joinWith(doors, 'nonsense', request)).rejects.toMatchObject({ code: 7 });
    await until(
      'the log says why',
      () => /"reason":"used"/.test(sluice.server.stderr) && /"reason":"wrong"/.test(sluice.server.stderr),
    );
    expect(sluice.server.stderr).not.toContain(used);
  });

  it('carries the calls of a program that only knows fetch', async () => {
    await using sluice = await startSluice();
    await sluice.rest.put(service('cart'));
    await sluice.workload('cart', { service: 'cart' });
    const call = `fetch('http://cart.shop/items?page=2').then((answer) => answer.text()).then(console.log)`;
    const program = () => [process.execPath, '-e', `${call}; setInterval(() => {}, 1000)`];
    const job = await sluice.workload('job', { onlyCalls: true, program });
    const [told] = await job.sidecar.wrote(/\{"workload".*\}/);
    expect(JSON.parse(told)).toMatchObject({ workload: 'shop/cart', method: 'GET', path: '/items?page=2' });
  });

  it('gives its program no secret of the command line', async () => {
    await using sluice = await startSluice();
    const print = 'console.log(JSON.stringify(process.env)); setInterval(() => {}, 1000)';
    const token = readFileSync(sluice.tokenFile, 'utf8').trim();
    const options = { onlyCalls: true, program: () => [process.execPath, '-e', print], env: { SLUICE_TOKEN: token } };
    const job = await sluice.workload('job', options);
    const [told] = await job.sidecar.wrote(/\{.*"HTTP_PROXY".*\}/);
    const names = Object.keys(JSON.parse(told) as object).filter((name) => name.startsWith('SLUICE_'));
    expect(names.sort()).toEqual(['SLUICE_ADMIN', 'SLUICE_OUTBOUND', 'SLUICE_WORKLOAD']);
    expect(told).not.toContain(token);
  });
});
