/** What is not HTTP, with real processes: a port of its own for a service, and a permission that is taken away and given back. */
import { createServer } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { directly, throughTunnel } from '../support/bytes-call.js';
import { freePort, until } from '../support/processes.js';
import { startSluice, type Sluice } from '../support/sluice.js';
import type { Workload } from '../support/workload.js';

const identity = (account: string) => `spiffe://sluice.local/ns/shop/sa/${account}`;

const policy = (name: string, action: 'Allow' | 'Deny') => ({
  kind: 'AuthorizationPolicy' as const,
  metadata: { namespace: 'shop', name },
  spec: { target: { service: 'db' }, action, rules: [{ from: [{ identity: identity('web') }] }] },
});

describe('a service of bytes', () => {
  let sluice: Sluice;
  let web: Workload;
  let forwarded: number;

  beforeAll(async () => {
    sluice = await startSluice();
    const db = { namespace: 'shop', name: 'db' };
    await sluice.put({
      kind: 'Service',
      metadata: db,
      spec: { ports: [{ port: 5432, protocol: 'TCP' }] },
    });
    await sluice.put(policy('db-web', 'Allow'));
    await sluice.workload('db-1', { service: 'db' });
    forwarded = await freePort();
    const options = { serviceAccount: 'web', onlyCalls: true, env: { SLUICE_FORWARD: `${forwarded}=db:5432` } };
    web = await sluice.workload('web', options);
    await sluice.converged();
  }, 60_000);
  afterAll(() => sluice[Symbol.asyncDispose]());

  it('is reached at a port of its own, and by a tunnel', async () => {
    await using one = await directly(`127.0.0.1:${forwarded}`);
    expect((await one.who()).workload).toBe('shop/db-1');
    await using other = await throughTunnel(web.addresses.outbound, 'db.shop:5432');
    expect(other.status).toBe(200);
    expect((await other.who()).workload).toBe('shop/db-1');
  });

  it('resets who is connected when the permission is taken away, and takes connections again when it is given back', async () => {
    await using before = await directly(`127.0.0.1:${forwarded}`);
    await before.who();
    const { status } = await sluice.put(policy('db-nobody', 'Deny'), { wait: '100%' });
    expect(status).toBeLessThan(300);
    expect(await before.wasReset()).toBe(true);
    await using denied = await directly(`127.0.0.1:${forwarded}`);
    expect(await denied.wasReset()).toBe(true);
    const gone = await sluice.rest.remove(policy('db-nobody', 'Deny'), { wait: '100%' });
    expect(gone.status).toBeLessThan(300);
    await using after = await directly(`127.0.0.1:${forwarded}`);
    after.say('who\nstill here\n');
    await after.until('\n');
    expect(await after.until('\n')).toBe('still here\n');
  });

  it('goes on over a change of another policy', async () => {
    await using connection = await directly(`127.0.0.1:${forwarded}`);
    await connection.who();
    await sluice.put({ ...policy('db-web-too', 'Allow') }, { wait: '100%' });
    connection.say('and on\n');
    expect(await connection.until('\n')).toBe('and on\n');
  });

  it('is counted, by how its connections ended', async () => {
    await until('the counts', async () => {
      const labels = { service: 'db.shop:5432', backend: 'db.shop:5432' };
      return (await web.metric('sluice_tcp_outbound_connections_total', labels)) >= 2;
    });
    expect(await web.metric('sluice_tcp_outbound_bytes_total', { way: 'received' })).toBeGreaterThan(0);
  });

  it('cannot have a port that somebody else has, and says so in one line', async () => {
    const taken = createServer();
    const port = await freePort();
    await new Promise<void>((resolve) => taken.listen(port, '127.0.0.1', resolve));
    const args = ['run', '--xds', sluice.xds, '--join', sluice.join, '--name', 'late', '--namespace', 'shop'];
    const { code, stderr } = await sluice.cli([...args, '--forward', `${port}=db:5432`, '--', 'true']);
    taken.close();
    expect(code).toBe(1);
    expect(stderr).toMatch(new RegExp(`^sluice-proxy: SLUICE_FORWARD: cannot listen on 127.0.0.1:${port}: .*\\n$`));
  });
});
