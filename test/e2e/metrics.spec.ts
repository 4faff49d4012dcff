/** The metrics of the server, as Prometheus reads them. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { JoinedClient } from '../support/grpc-client.js';
import { RestServer } from '../support/rest-server.js';

let rest: RestServer;
beforeAll(async () => {
  rest = await RestServer.start();
});
afterAll(() => rest[Symbol.asyncDispose]());

/** The value of a series, written as Prometheus writes it. */
async function read(series: string): Promise<number | undefined> {
  const { text } = await rest.call('GET', '/metrics');
  const line = text.split('\n').find((one) => one.startsWith(`${series} `));
  return line === undefined ? undefined : Number(line.slice(series.length + 1));
}

describe('the metrics of the server', () => {
  it('are for whoever has a token, in the format of Prometheus', async () => {
    expect((await rest.call('GET', '/metrics', { token: '' })).status).toBe(401);
    const { status, headers } = await rest.call('GET', '/metrics');
    expect(status).toBe(200);
    expect(headers['content-type']).toMatch(/^text\/plain; version=0\.0\.4/);
  });

  it('count what is asked, by the pattern of its route and never by a name in it', async () => {
    await rest.call('GET', '/v1/namespaces/shop/services/secret-name');
    await rest.call('GET', '/v1/secret-name');
    const { text } = await rest.call('GET', '/metrics');
    expect(text).not.toContain('secret-name');
    const labels = 'method="GET",route="/v1/namespaces/:namespace/services/:name",status="404"';
    expect(await read(`sluice_http_request_duration_seconds_count{${labels}}`)).toBe(1);
  });

  it('count commits, and tell the newest revision', async () => {
    const before = (await read('sluice_commits_total')) ?? 0;
    const body = { spec: { ports: [{ port: 80 }] } };
    const put = await rest.call('PUT', '/v1/namespaces/shop/services/counted', { body });
    await rest.call('PUT', '/v1/namespaces/shop/services/counted', { body });
    expect(await read('sluice_commits_total')).toBe(before + 1);
    expect(await read('sluice_revision')).toBe(put.body.revision);
  });

  it('tell who is connected and who waits', async () => {
    const client = await JoinedClient.join(rest, 'shop', { name: 'metered' });
    await client.report({});
    const stream = client.stream();
    stream.send({ node: { id: 'shop/metered' }, type_url: 'type.googleapis.com/envoy.config.cluster.v3.Cluster' });
    await expect.poll(() => read('sluice_proxies{state="connected"}')).toBe(1);
    const caller = new AbortController();
    const path = '/v1/revisions/1/receipt?wait=7&timeout=10m';
    const waiting = rest.call('GET', path, { signal: caller.signal }).catch(() => 'hung up');
    await expect.poll(() => read('sluice_receipts_waiting')).toBe(1);
    caller.abort();
    await waiting;
    await expect.poll(() => read('sluice_receipts_waiting')).toBe(0);
    stream.close();
    client.close();
    await expect.poll(() => read('sluice_proxies{state="connected"}')).toBe(0);
  });

  it('tell how the process fares, by the names that everybody knows', async () => {
    for (const name of ['nodejs_eventloop_lag_p99_seconds', 'process_resident_memory_bytes', 'process_open_fds']) {
      expect(await read(name), name).toBeGreaterThanOrEqual(0);
    }
  });
});
