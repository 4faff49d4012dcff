import type { Kind } from '../model/kinds.js';
import { describe, expect, it } from 'vitest';
import { columnsOf, printAge, printName, unmetConditions } from './columns.js';
import type { View } from './resources.js';
import { printTable } from './table.js';

const NOW = Date.parse('2027-03-01T12:00:00.000Z');
const plain = (_: string, text: string): string => text;

const print = (kind: Kind | View, ...items: Record<string, unknown>[]): string =>
  `\n${printTable(columnsOf({ kind }, NOW), items, plain)}`;

const document = (name: string, spec: object, ...unmet: [type: string, reason: string, message: string][]) => ({
  apiVersion: 'sluice.mesh/v1',
  metadata: { name, namespace: 'shop', revision: 7, createdAt: '2027-03-01T11:00:00.000Z' },
  spec,
  status: {
    conditions: ['Accepted', 'ResolvedRefs', 'Programmed'].map((type) => {
      const [, reason, message] = unmet.find(([named]) => named === type) ?? [];
      return { type, status: reason ? 'False' : 'True', reason: reason ?? type, message: message ?? '' };
    }),
  },
});

const MISSING: [string, string, string] = ['ResolvedRefs', 'BackendNotFound', 'there is no service "cart-v3"'];

describe('the table of', () => {
  it('services', () => {
    const selector = { 'sluice.mesh/service': 'cart', version: 'v1' };
    const ports = [
      { port: 80, protocol: 'HTTP' },
      { name: 'rpc', port: 8080, targetPort: 'grpc', protocol: 'GRPC' },
    ];
    expect(print('Service', document('cart', { ports }), document('cart-v1', { selector, ports })))
      .toMatchInlineSnapshot(`
        "
        NAME      PORTS                         SELECTOR                              PROGRAMMED   AGE
        cart      80/HTTP, rpc=8080:grpc/GRPC   sluice.mesh/service=cart              True         60m
        cart-v1   80/HTTP, rpc=8080:grpc/GRPC   sluice.mesh/service=cart,version=v1   True         60m
        "
      `);
  });

  it('workloads', () => {
    const identity = 'spiffe://sluice.local/ns/shop/sa/cart';
    expect(
      print(
        'Workload',
        document('cart-v1', {
          address: '127.0.0.1',
          ports: [{ name: 'http', port: 9001, sidecarPort: 41001 }, { port: 9102 }],
          identity,
          health: 'Healthy',
        }),
        document('six', { address: '::1', ports: [{ port: 9002 }], health: 'Unhealthy' }),
        document('job', { address: '127.0.0.1', ports: [], identity, health: 'Healthy' }),
      ),
    ).toMatchInlineSnapshot(`
      "
      NAME      ADDRESS     PORTS                   IDENTITY                                HEALTH      AGE
      cart-v1   127.0.0.1   http=9001@41001, 9102   spiffe://sluice.local/ns/shop/sa/cart   Healthy     60m
      six       ::1         9002                                                            Unhealthy   60m
      job       127.0.0.1   calls only              spiffe://sluice.local/ns/shop/sa/cart   Healthy     60m
      "
    `);
  });

  it('splits, with weights as shares', () => {
    const split = (...weights: number[]) => ({
      service: 'cart',
      backends: weights.map((weight, at) => ({ service: `cart-v${at + 1}`, weight })),
    });
    expect(
      print(
        'TrafficSplit',
        document('canary', split(90, 10)),
        document('thirds', split(1, 1, 1), MISSING),
        document('nobody', split(0, 0), ['Programmed', 'Pending', '3 of 5 proxies serve revision 7']),
      ),
    ).toMatchInlineSnapshot(`
      "
      NAME     SERVICE   BACKENDS                                         PROGRAMMED               AGE
      canary   cart      cart-v1 90%, cart-v2 10%                         True                     60m
      thirds   cart      cart-v1 33.33%, cart-v2 33.33%, cart-v3 33.33%   True (BackendNotFound)   60m
      nobody   cart      cart-v1 0%, cart-v2 0%                           False (Pending)          60m
      "
    `);
  });

  it('policies', () => {
    const policy = (target: object, action: string, mode: string, rules: number) => ({
      target,
      action,
      mode,
      rules: Array.from({ length: rules }, () => ({})),
    });
    expect(
      print(
        'AuthorizationPolicy',
        document('cart-from-web', policy({ service: 'cart' }, 'Allow', 'Enforce', 1)),
        document('no-beta', policy({ labels: { version: 'beta' } }, 'Deny', 'Audit', 12)),
        document('closed', policy({ scope: 'Mesh' }, 'Allow', 'Enforce', 2)),
      ),
    ).toMatchInlineSnapshot(`
      "
      NAME            TARGET                ACTION   MODE      RULES   PROGRAMMED   AGE
      cart-from-web   service cart          Allow    Enforce   1       True         60m
      no-beta         labels version=beta   Deny     Audit     12      True         60m
      closed          mesh                  Allow    Enforce   2       True         60m
      "
    `);
  });

  it('the settings of the mesh', () => {
    const spec = { defaultMode: 'all-authenticated', clusterNetworks: ['10.0.0.0/8', 'fd00::/8'] };
    expect(print('MeshSettings', document('mesh', spec))).toMatchInlineSnapshot(`
      "
      NAME   DEFAULT MODE        CLUSTER NETWORKS       AGE
      mesh   all-authenticated   10.0.0.0/8, fd00::/8   60m
      "
    `);
  });

  it('revisions', () => {
    const ref = { kind: 'TrafficSplit', namespace: 'shop', name: 'cart' };
    const settings = { kind: 'MeshSettings', namespace: '', name: 'mesh' };
    const revision = (number: number, author: string, comment: string, ...changes: object[]) => ({
      number,
      author,
      comment,
      at: '2027-03-01T11:58:01.000Z',
      changes,
    });
    expect(
      print(
        'Revision',
        revision(
          4,
          'ci',
          'roll\u001b[2Jout\n',
          { ref, before: {}, after: {} },
          { ref, after: {} },
          { ref, before: {} },
        ),
        revision(3, 'ci', '', { ref, before: {} }),
        revision(1, 'sluice', 'first start', { ref: settings, after: {} }),
      ),
    ).toMatchInlineSnapshot(`
      "
      NUMBER   AUTHOR   AGE    CHANGES                                     COMMENT
      4        ci       119s   TrafficSplit shop/cart changed and 2 more   roll [2Jout
      3        ci       119s   TrafficSplit shop/cart removed
      1        sluice   119s   MeshSettings mesh created                   first start
      "
    `);
  });

  it('proxies', () => {
    const since = '2027-02-20T12:00:00.000Z';
    const lastRefusal = { type: 'Listener', resource: 'inbound/shop/cart:9001', reason: '10001 rules, at most 10000' };
    expect(
      print(
        'Proxy',
        { id: 'shop/cart-v1', state: 'connected', since, serves: 7, lag: 0 },
        { id: 'shop/cart-v2', state: 'connected', since, serves: 5, lag: 2, lastRefusal },
        { id: 'shop/job', state: 'disconnected', since: '2027-03-01T11:59:56.000Z' },
        { id: 'shop/web', state: 'lost', spared: true, since: '2027-03-01T11:59:56.000Z' },
      ),
    ).toMatchInlineSnapshot(`
      "
      PROXY          STATE           AGE   SERVES   LAG   REFUSAL
      shop/cart-v1   connected       9d    7        0
      shop/cart-v2   connected       9d    5        2     inbound/shop/cart:9001: 10001 rules, at most 10000
      shop/job       disconnected    4s
      shop/web       lost (spared)   4s
      "
    `);
  });
});

it('paints what wants to be noticed, and leaves the widths as they were', () => {
  const paint = (tone: string, text: string) => `<${tone}>${text}</>`;
  const columns = columnsOf({ kind: 'Proxy' }, NOW);
  expect(printTable(columns, [{ id: 'shop/job', state: 'lost', lag: 3 }], paint).split('\n')[1]).toBe(
    `shop/job   <red>lost</>${' '.repeat(19)}3`,
  );
});

it.each([
  ['2027-03-01T11:59:59.500Z', '0s'],
  ['2027-03-01T12:00:09.000Z', '0s'],
  ['2027-03-01T11:58:01.000Z', '119s'],
  ['2027-03-01T11:58:00.000Z', '2m'],
  ['2027-03-01T10:00:01.000Z', '119m'],
  ['2027-03-01T10:00:00.000Z', '2h'],
  ['2027-02-27T12:00:00.000Z', '2d'],
  ['never', ''],
])('counts the age of %s as %s', (at, age) => expect(printAge(at, NOW)).toBe(age));

it('names objects as commands take them', () => {
  expect(printName(document('cart', {}))).toBe('shop/cart');
  expect(printName({ metadata: { name: 'mesh' } })).toBe('mesh');
  expect(printName({ number: 7 })).toBe('7');
  expect(printName({ id: 'shop/job' })).toBe('shop/job');
});

it('says which conditions do not hold', () => {
  expect(unmetConditions(document('cart', {}, MISSING))).toEqual([
    'ResolvedRefs is False (BackendNotFound): there is no service "cart-v3"',
  ]);
});
