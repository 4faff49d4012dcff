/** What the aggregated stream does when one of its sessions fails. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { aService, aSplit, putting } from '../../test/support/model-documents.js';
import { ModelPlane } from '../../test/support/model-plane.js';
import { TYPES } from '../compile/resource.js';
import { spiffeId } from '../model/names.js';
import { LimitedLog } from '../rpc/limited-log.js';
import type { Stream, StreamListener } from '../rpc/method.js';
import { FAILED, type GrpcRefusal } from '../rpc/refusal.js';
import { AdsService, type Connection } from './ads.js';
import type { ReceivedRequest } from './wire.js';

const CART = 'cart.shop:80';
const become = (condition: () => boolean) => vi.waitUntil(condition, { timeout: 30_000, interval: 5 });

describe('the aggregated stream', () => {
  let plane: ModelPlane;
  let ads: AdsService;
  const connections = new Map<string, Connection>();
  beforeEach(() => {
    plane = new ModelPlane();
    const roll = {
      connected: (connection: Connection) => void connections.set(connection.id, connection),
      disconnected: ({ id }: Connection) => void connections.delete(id),
    };
    const log = new LimitedLog({ info: () => undefined, warn: () => undefined });
    ads = new AdsService(plane.engine, roll, { admit: () => undefined }, log);
  });
  afterEach(() => {
    ads.close();
    plane.close();
  });

  /** A sidecar that has asked for the route of cart. */
  async function opened(account: string) {
    const said: unknown[] = [];
    let ended: GrpcRefusal | undefined;
    const identity = spiffeId({ trustDomain: 'sluice.local', namespace: 'shop', account });
    const stream = {
      peer: { address: '127.0.0.1', from: '127.0.0.1:1', member: { identity, enrolment: `e:${account}` } },
      accept: () => undefined,
      write: (parts) => said.push(parts) > 0,
      pause: () => undefined,
      resume: () => undefined,
      probe: () => Promise.resolve(true),
      end: (refusal) => {
        ended = refusal;
        listener.closed();
      },
    } as Stream;
    const listener: StreamListener<ReceivedRequest> = ads.method.open(stream);
    const ask = { nonce: '', unsubscribe: [], initialVersions: {} };
    const node = { id: `shop/${account}`, agent: 'test' };
    listener.message({ ...ask, node, type: TYPES.route, subscribe: [CART] });
    await become(() => said.length > 0);
    // That there is no such route.
    listener.message({ ...ask, nonce: '1', type: TYPES.route, subscribe: [] });
    return { said, ended: () => ended };
  }

  it('ends the stream of a session that fails to say what is new, and goes on with all others', async () => {
    const [broken, sound] = [await opened('broken'), await opened('sound')];
    const session = connections.get('shop/broken')?.session;
    vi.spyOn(session as NonNullable<typeof session>, 'speak').mockImplementation(() => {
      throw new Error('a fault of ours');
    });
    const before = sound.said.length;
    plane.write(putting(aService('cart')));
    await become(() => sound.said.length > before);
    expect(broken.ended()).toBe(FAILED);
    expect([...connections.keys()]).toEqual(['shop/sound']);
    const split = plane.write(putting(aSplit('cart', 'cart', { v1: 1 })));
    await become(() => plane.ring.head === split);
  });
});
