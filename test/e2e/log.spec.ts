/** What members and strangers can have written into the log of the server: something of each, and not more than that. */
import * as grpc from '@grpc/grpc-js';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { TYPES, TYPE_ORDER } from '../../src/compile/resource.js';
import { sluice as messages } from '../../src/proto/messages.js';
import { JoinedClient, join, signingRequest, type Doors } from '../support/grpc-client.js';
import { doorsOf } from '../support/direct-call.js';
import { startSluice, type Sluice } from '../support/sluice.js';

let sluice: Sluice;
let doors: Doors;
beforeAll(async () => {
  sluice = await startSluice();
  doors = doorsOf(sluice);
});
afterAll(() => sluice[Symbol.asyncDispose]());

const lines = (word: string): string[] => sluice.server.stderr.split('\n').filter((line) => line.includes(word));

it('of refusals, as much as a person reads, however much a sidecar says', async () => {
  const client = await JoinedClient.join(doors, 'shop', { name: 'loud' });
  await client.report({});
  const stream = client.stream();
  const name = 'inbound/shop/loud:9000';
  const node = { id: 'shop/loud', user_agent_name: 'sluice-proxy', user_agent_version: '0.0.0' };
  for (const type of TYPE_ORDER) {
    const names = type === TYPES.listener ? [name] : ['*'];
    stream.send({
      node,
      type_url: type,
      resource_names_subscribe: names,
      ...(names[0] === '*' && { resource_names_unsubscribe: ['*'] }),
    });
  }
  const detail = messages.v1.Refusal.encode({
    resources: Array.from({ length: 5_000 }, (_, at) => ({
      name: `n${at}`.repeat(50),
      version: 'v',
      reason: 'y'.repeat(400),
    })),
  }).finish();
  for (let time = 0; time < 40; time += 1) {
    const { nonce } = await stream.next();
    stream.send({
      type_url: TYPES.listener,
      response_nonce: nonce,
      // So that it is sent once more.
      resource_names_subscribe: [name],
      error_detail: {
        code: 3,
        message: 'no',
        details: [{ type_url: 'type.googleapis.com/sluice.v1.Refusal', value: detail }],
      },
    });
  }
  await stream.next();
  expect(lines('proxy refused a resource').length).toBeGreaterThan(0);
  expect(lines('proxy refused a resource').length).toBeLessThan(40);
  for (const line of lines('proxy refused a resource')) expect(line.length).toBeLessThan(5_000);
  stream.close();
  client.close();
});

it('of strangers, enough to notice; who brings nothing is looked at no further, and a good token is let in all the same', async () => {
  const wrong = `slcjoin_0123456789abcdef_${'A'.repeat(43)}`;
  const { request } = await signingRequest();
  const refusal = (token: string, signing: Uint8Array) =>
    join(doors, token, signing).then(
      () => undefined,
      ({ code }: grpc.ServiceError) => code,
    );
  // No signing request at all, and nobody says so before the token is good.
  expect(await refusal(wrong, new Uint8Array([1, 2, 3]))).toBe(grpc.status.PERMISSION_DENIED);
  const knocks = Array.from({ length: 60 }, () => refusal(wrong, request));
  expect(new Set(await Promise.all(knocks))).toEqual(new Set([grpc.status.PERMISSION_DENIED]));
  expect(lines('join token refused').length).toBeGreaterThan(0);
  expect(lines('join token refused').length).toBeLessThan(40);
  const token = await doors.joinToken('shop', { name: 'welcome' });
  expect((await join(doors, token, request)).name).toBe('welcome');
});
