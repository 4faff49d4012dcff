/** Sidecars that are lost, over a restart of the server. */
import { expect, it } from 'vitest';
import { TYPES } from '../../src/compile/resource.js';
import { doorsOf } from '../support/direct-call.ts';
import { JoinedClient } from '../support/grpc-client.ts';
import { startSluice } from '../support/sluice.ts';

const ONE = { kind: 'Service', metadata: { name: 'one' }, spec: { ports: [{ port: 80 }] } } as const;

it('a proxy that was lost is not waited for because the server has started again, and is there when it is back', async () => {
  await using other = await startSluice({ settings: { 'proxy-lease': '1s' } });
  const client = await JoinedClient.join(doorsOf(other), 'shop', { name: 'gone' });
  await client.report({});
  const enrolment = async () =>
    (await other.rest.get(`/v1/enrolments/${client.enrolment}`)).body as { readonly lostSince?: string };
  await other.server.until('it is lost', async () => (await enrolment()).lostSince !== undefined);
  const { lostSince } = await enrolment();
  await other.restart('SIGKILL');
  const put = () => other.put(ONE, { wait: '100%', timeout: '0s' });
  const { status, body } = await put();
  expect(status).toBe(201);
  expect((body as { receipt: object }).receipt).toMatchObject({
    affected: 0,
    lost: [{ proxy: 'shop/gone', since: lostSince }],
  });
  const stream = client.stream();
  stream.send({ node: { id: 'shop/gone', user_agent_name: 'test' }, type_url: TYPES.listener });
  await other.server.until('it is there', async () => (await enrolment()).lostSince === undefined);
  stream.close();
  client.close();
});
