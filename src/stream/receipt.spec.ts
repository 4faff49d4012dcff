/** What a receipt counts, when waiting for it ends, and what an object's status says of it. */
import { describe, expect, it, vi } from 'vitest';
import type { Snapshot } from '../compile/compile.js';
import { TYPES, type Resource } from '../compile/resource.js';
import type { Document } from '../model/document.js';
import { meshOf } from '../model/mesh.js';
import { spiffeId } from '../model/names.js';
import type { Workload } from '../model/workload.js';
import { Fleet } from './fleet.js';
import type { Proxy } from './proxy.js';
import { isHopeless, isMet, receiptOf, type Target } from './receipt.js';
import { Receipts } from './receipts.js';
import { Session } from './session.js';
import { conditionsOf } from './status.js';

const proxy = (id: string, serves: number | undefined, more: Partial<Proxy> = {}): Proxy => ({
  id,
  state: 'connected',
  since: '2026-01-01T00:00:00.000Z',
  ...(serves !== undefined && { serves }),
  holds: new Map(),
  refusals: [],
  ...more,
});
const refusal = { type: TYPES.listener, name: 'inbound/shop/a', version: 'v2', reason: 'too many rules', at: 0 };

describe('a receipt', () => {
  it('counts who serves the revision or a newer one, and says of the others why not', () => {
    const fleet = [
      proxy('shop/newer', 8),
      proxy('shop/same', 7),
      proxy('shop/older', 6),
      proxy('shop/fresh', undefined),
      proxy('shop/refuses', 6, { refusals: [refusal] }),
      proxy('shop/away', 6, { state: 'disconnected' }),
      proxy('shop/away-but-up-to-date', 7, { state: 'disconnected' }),
      proxy('shop/lost', 1, { state: 'lost' }),
    ];
    const receipt = receiptOf(7, fleet);
    expect(receipt).toMatchObject({ revision: 7, proxies: 7, serving: 3 });
    expect(receipt.laggards.map(({ proxy: id, reason, serves }) => [id, reason, serves])).toEqual([
      ['shop/older', 'pending', 6],
      ['shop/fresh', 'pending', undefined],
      ['shop/refuses', 'refused', 6],
      ['shop/away', 'disconnected', 6],
    ]);
    expect(receipt.laggards[2]?.detail).toBe('it refused inbound/shop/a: too many rules');
  });

  const rows: [string, number, number, Target, boolean][] = [
    ['all of four', 4, 4, { percent: 100 }, true],
    ['three of four for all', 4, 3, { percent: 100 }, false],
    ['three of four for 75 %', 4, 3, { percent: 75 }, true],
    ['three of four for 76 %', 4, 3, { percent: 76 }, false],
    ['none of none for all', 0, 0, { percent: 100 }, true],
    ['two of four for two', 4, 2, { proxies: 2 }, true],
    ['one of one for two', 1, 1, { proxies: 2 }, false],
  ];
  it.each(rows)('%s', (_, proxies, serving, target, met) => {
    expect(isMet({ revision: 1, proxies, serving, laggards: [] }, target)).toBe(met);
  });

  it('is hopeless when those who refused are too many for the target', () => {
    const receipt = receiptOf(7, [proxy('shop/a', 6, { refusals: [refusal] }), proxy('shop/b', 6)]);
    expect(isHopeless(receipt, { percent: 100 })).toBe(true);
    expect(isHopeless(receipt, { percent: 50 })).toBe(false);
    expect(isHopeless(receiptOf(7, [proxy('shop/b', 6)]), { percent: 100 })).toBe(false);
  });
});

const workload = (name: string, origin: 'rest' | 'sidecar' = 'sidecar'): Workload => ({
  kind: 'Workload',
  metadata: { name, namespace: 'shop', labels: {}, annotations: {}, origin, revision: 1, createdAt: '', updatedAt: '' },
  spec: { address: '127.0.0.1', identity: identityOf(name), health: 'Healthy' },
});
const identityOf = (account: string) => spiffeId({ trustDomain: 'sluice.local', namespace: 'shop', account });
/** Each state of the world here is another revision. */
const sequences = { revisionAt: (sequence: number) => sequence };
const nothing = { revision: 1, resources: new Map() };
const connection = (name: string) => ({
  id: `shop/${name}`,
  identity: identityOf(name),
  agent: 'test',
  enrolment: '0123456789abcdef',
  session: new Session(nothing),
});

describe('the fleet', () => {
  it('is who is connected, and who is registered and ought to be', () => {
    let now = 0;
    const fleet = new Fleet(1_000, sequences, () => now);
    const mesh = meshOf('sluice.local', [workload('a'), workload('b'), workload('by-hand', 'rest')]);
    const a = connection('a');
    const states = () => fleet.proxies(mesh).map(({ id, state }) => `${id} ${state}`);
    expect(states()).toEqual(['shop/a disconnected', 'shop/b disconnected']);
    fleet.connected(a);
    fleet.connected(connection('unregistered'));
    expect(states()).toEqual(['shop/a connected', 'shop/b disconnected', 'shop/unregistered connected']);
    now = 1_000;
    expect(states()).toEqual(['shop/a connected', 'shop/b lost', 'shop/unregistered connected']);
    fleet.disconnected(a);
    expect(states()[0]).toBe('shop/a disconnected');
    now = 2_000;
    expect(states()[0]).toBe('shop/a lost');
  });

  it('gives a lease to a sidecar that is heard of before it opens its stream', () => {
    let now = 5_000;
    const fleet = new Fleet(1_000, sequences, () => now);
    const mesh = meshOf('sluice.local', [workload('a')]);
    now = 9_000;
    fleet.heard('shop/a');
    now = 9_999;
    expect(fleet.proxies(mesh)).toMatchObject([{ state: 'disconnected' }]);
    now = 10_000;
    expect(fleet.proxies(mesh)).toMatchObject([{ state: 'lost' }]);
  });

  it('remembers what a proxy served when its stream ended: it goes on with that', () => {
    const fleet = new Fleet(1_000, sequences, () => 0);
    const mesh = meshOf('sluice.local', [workload('a')]);
    const a = connection('a');
    fleet.connected(a);
    const ask = { type: TYPES.cluster, nonce: '', subscribe: ['*'], unsubscribe: ['*'], initialVersions: {} };
    a.session.receive(ask, 0);
    fleet.disconnected(a);
    expect(fleet.proxies(mesh)).toMatchObject([{ id: 'shop/a', state: 'disconnected', serves: 1 }]);
  });

  it('lets a newer stream take the place of an older one, whose end then means nothing', () => {
    const fleet = new Fleet(1_000, sequences, () => 0);
    const [older, newer] = [connection('a'), connection('a')];
    expect(fleet.connected(older)).toBeUndefined();
    expect(fleet.connected(newer)?.session).toBe(older.session);
    fleet.disconnected(older);
    expect(fleet.isConnected('shop/a')).toBe(true);
  });
});

describe('waiting for a receipt', () => {
  const mesh = meshOf('sluice.local', [workload('a')]);
  const setUp = () => {
    const fleet = new Fleet(60_000, sequences);
    const a = connection('a');
    fleet.connected(a);
    return { fleet, a, receipts: new Receipts(fleet, () => mesh) };
  };

  it('ends as soon as the target is met', async () => {
    const { fleet, a, receipts } = setUp();
    const waiting = receipts.wait(1, { percent: 100 }, 60_000);
    a.session.receive({ type: TYPES.cluster, nonce: '', subscribe: ['*'], unsubscribe: ['*'], initialVersions: {} }, 0);
    fleet.changed();
    expect(await waiting).toMatchObject({ proxies: 1, serving: 1 });
  });

  it('ends with a refusal that names the laggard when the time is over', async () => {
    vi.useFakeTimers();
    try {
      const { receipts } = setUp();
      const waiting = receipts.wait(1, { percent: 100 }, 5_000).catch((error: unknown) => error);
      vi.advanceTimersByTime(5_000);
      expect(await waiting).toMatchObject({
        code: 'not-applied-in-time',
        message: expect.stringContaining('shop/a') as string,
        extensions: { revision: 1, receipt: { laggards: [{ proxy: 'shop/a', reason: 'pending' }] } },
      });
    } finally {
      vi.useRealTimers();
    }
  });

  it('ends when nobody listens any more', async () => {
    const { receipts } = setUp();
    const caller = new AbortController();
    const waiting = receipts.wait(1, { percent: 100 }, 60_000, caller.signal);
    caller.abort();
    await expect(waiting).rejects.toMatchObject({ code: 'not-applied-in-time' });
  });

  it('is not begun when too many wait, and the receipt is given all the same', async () => {
    const { fleet, a, receipts } = setUp();
    const waiting = Array.from({ length: 1_000 }, () => receipts.wait(1, { percent: 100 }, 60_000));
    await expect(receipts.wait(1, { percent: 100 }, 60_000)).rejects.toMatchObject({
      message: expect.stringContaining('1000 callers are waiting already') as string,
      extensions: { revision: 1, receipt: { proxies: 1, serving: 0 } },
    });
    a.session.receive({ type: TYPES.cluster, nonce: '', subscribe: ['*'], unsubscribe: ['*'], initialVersions: {} }, 0);
    fleet.changed();
    expect(await Promise.all(waiting)).toHaveLength(1_000);
  });

  it('says so when more proxies are asked for than there are', async () => {
    const { a, receipts } = setUp();
    a.session.receive({ type: TYPES.cluster, nonce: '', subscribe: ['*'], unsubscribe: ['*'], initialVersions: {} }, 0);
    await expect(receipts.wait(1, { proxies: 5 }, 1)).rejects.toMatchObject({
      message: expect.stringContaining('1 of 1 proxies serve it; 5 were asked for.') as string,
    });
  });

  it('ends at once when a refusal has put the target out of reach', async () => {
    const { fleet, a, receipts } = setUp();
    const resource: Resource = {
      type: TYPES.cluster,
      name: 'x',
      version: '1',
      bytes: new Uint8Array(),
      entry: new Uint8Array(),
      since: 1,
      causes: [],
      inputs: [],
    };
    a.session.publish({ revision: 2, resources: new Map([[TYPES.cluster, new Map([['x', resource]])]]) }, 0);
    const ask = { type: TYPES.cluster, nonce: '', subscribe: ['x'], unsubscribe: [], initialVersions: {} };
    const [response] = a.session.receive(ask, 0);
    const waiting = receipts.wait(2, { percent: 100 }, 60_000);
    a.session.receive({ ...ask, subscribe: [], nonce: response?.nonce ?? '', error: { message: 'no' } }, 0);
    fleet.changed();
    await expect(waiting).rejects.toMatchObject({ code: 'refused-by-proxy' });
  });
});

describe('the status of an object', () => {
  const document: Document = { ...workload('a'), metadata: { ...workload('a').metadata, revision: 7 } };
  const ref = { kind: 'Workload', namespace: 'shop', name: 'a' } as const;
  const listener = {
    type: TYPES.listener,
    name: 'inbound/shop/a',
    version: 'v2',
    causes: [ref],
  } as unknown as Resource;
  const snapshot: Snapshot = {
    resources: new Map([[TYPES.listener, new Map([[listener.name, listener]])]]),
    problems: [],
  };
  const programmed = (fleet: readonly Proxy[], of = snapshot) =>
    conditionsOf(document, of, fleet).find(({ type }) => type === 'Programmed');

  it('is programmed when every proxy serves it', () => {
    expect(programmed([proxy('shop/a', 7), proxy('shop/b', 9)])).toMatchObject({
      status: 'True',
      message: '2 of 2 proxies serve revision 7',
    });
  });
  it('is pending while one does not', () => {
    expect(programmed([proxy('shop/a', 7), proxy('shop/b', 6)])).toMatchObject({ status: 'False', reason: 'Pending' });
  });
  it('shows why a proxy refuses what was made of it', () => {
    const condition = programmed([proxy('shop/a', 6, { refusals: [refusal] })]);
    expect(condition).toMatchObject({ status: 'False', reason: 'Refused' });
    expect(condition?.message).toContain('shop/a refused inbound/shop/a: too many rules');
  });
  it('is not blamed for what others caused, or for what is not made any more', () => {
    const other = { ...listener, causes: [{ ...ref, name: 'b' }] };
    const ofOthers: Snapshot = { resources: new Map([[TYPES.listener, new Map([[other.name, other]])]]), problems: [] };
    const newer = { ...listener, version: 'v3' };
    const ofLater: Snapshot = { resources: new Map([[TYPES.listener, new Map([[newer.name, newer]])]]), problems: [] };
    const fleet = [proxy('shop/a', 6, { refusals: [refusal] })];
    expect(programmed(fleet, ofOthers)).toMatchObject({ reason: 'Pending' });
    expect(programmed(fleet, ofLater)).toMatchObject({ reason: 'Pending' });
  });
  it('shows what it names and what there is not', () => {
    const problem = {
      ref,
      condition: 'ResolvedRefs',
      effect: 'None',
      reason: 'ServiceNotFound',
      message: 'there is no service "x"',
    } as const;
    expect(conditionsOf(document, { ...snapshot, problems: [problem] }, [])).toContainEqual({
      type: 'ResolvedRefs',
      status: 'False',
      reason: 'ServiceNotFound',
      message: 'there is no service "x"',
    });
  });
});
