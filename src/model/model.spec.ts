/** The words of the mesh: what is a name, an identity, a pattern, a duration, and what is not. */
import { describe, expect, it } from 'vitest';
import { parseIdentityPattern, parsePathPattern } from './authorization-policy.js';
import { canonicalJson } from './canonical-json.js';
import { parseDuration } from './duration.js';
import { pointer } from './fault.js';
import { upgraded } from './kinds.js';
import { isDnsLabel, isLabelKey, isLabelValue, isPortName, isTrustDomain, parseSpiffeId } from './names.js';
import { targetAt, type ServicePort } from './service.js';
import type { Workload, WorkloadPort } from './workload.js';

describe('a name', () => {
  it.each(['a', 'cart', 'cart-v1', '0', 'a'.repeat(63)])('may be %s', (name) => expect(isDnsLabel(name)).toBe(true));
  it.each(['', '-a', 'a-', 'Cart', 'a.b', 'a_b', 'ä', 'a\n', 'a'.repeat(64)])('may not be %j', (name) =>
    expect(isDnsLabel(name)).toBe(false),
  );
});

describe('the name of a port', () => {
  it.each(['http', 'h2c', '0a', 'a'.repeat(15), 'grpc-web-1'])('may be %s', (name) =>
    expect(isPortName(name)).toBe(true),
  );
  it.each(['', '80', 'Http', '-a', 'a-', 'a--b', 'a_b', 'a.b', 'a\n', 'a'.repeat(16)])('may not be %j', (name) =>
    expect(isPortName(name)).toBe(false),
  );
});

describe('the calls to a port of a service', () => {
  const port = (fields: Partial<ServicePort> = {}): ServicePort => ({ port: 80, protocol: 'HTTP', ...fields });
  const http = { name: 'http', port: 9001, sidecarPort: 41_001 };
  const [admin, eighty] = [{ name: 'admin', port: 9102 }, { port: 80 }];
  it.each<[string, ServicePort, WorkloadPort[], WorkloadPort | undefined]>([
    ['go to the only port that a workload has', port(), [http], http],
    ['go to the port of the same number', port(), [eighty, http], eighty],
    ['go nowhere where several ports could be meant', port(), [http, admin], undefined],
    ['go to the number that is named', port({ targetPort: 9102 }), [http, admin], admin],
    ['go nowhere where that number is not', port({ targetPort: 9103 }), [http], undefined],
    ['go to the name that is named', port({ targetPort: 'http' }), [http, admin], http],
    ['go nowhere where that name is not', port({ targetPort: 'web' }), [http], undefined],
    ['go nowhere where a workload only calls', port(), [], undefined],
  ])('%s', (_, from, ports, target) => {
    expect(targetAt(from, { spec: { ports } } as unknown as Workload)).toBe(target);
  });
});

describe('a stored workload of the time when it had one port', () => {
  const stored = (spec: object) => upgraded({ kind: 'Workload', metadata: {}, spec } as unknown as Workload).spec;
  it('has that port and no other', () => {
    expect(stored({ address: '10.0.0.1', port: 80, health: 'Healthy' })).toEqual({
      ...{ address: '10.0.0.1', ports: [{ port: 80 }], health: 'Healthy' },
    });
  });
  it('only calls, if it had none', () => {
    expect(stored({ address: '10.0.0.1', health: 'Healthy' })).toEqual({
      ...{ address: '10.0.0.1', ports: [], health: 'Healthy' },
    });
  });
});

describe('a label', () => {
  it.each(['app', 'sluice.mesh/service', 'App.Kind_1'])('may be called %s', (key) =>
    expect(isLabelKey(key)).toBe(true),
  );
  it.each(['', '/a', 'a/', 'a/b/c', 'Sluice.mesh/a', '-a', '__proto__'])('may not be called %j', (key) =>
    expect(isLabelKey(key)).toBe(false),
  );
  it.each(['', 'v1', 'a_b.c-D'])('may say %j', (value) => expect(isLabelValue(value)).toBe(true));
  it.each(['-', 'a b', 'a'.repeat(64)])('may not say %j', (value) => expect(isLabelValue(value)).toBe(false));
});

describe('a trust domain', () => {
  it.each(['sluice.local', 'mesh', 'a.b.c'])('may be %s', (name) => expect(isTrustDomain(name)).toBe(true));
  it.each(['', 'Sluice.local', 'a..b', 'a/b', 'a:1'])('may not be %j', (name) =>
    expect(isTrustDomain(name)).toBe(false),
  );
});

describe('a SPIFFE id', () => {
  it('has a trust domain, a namespace and an account', () => {
    expect(parseSpiffeId('spiffe://sluice.local/ns/shop/sa/web')).toEqual({
      trustDomain: 'sluice.local',
      namespace: 'shop',
      account: 'web',
    });
  });
  it.each([
    'spiffe://sluice.local',
    'spiffe://sluice.local/shop/web',
    'spiffe://sluice.local/ns/shop/sa/',
    'spiffe://sluice.local/ns/shop/sa/web/',
    'spiffe://sluice.local/ns/shop/sa/web?x',
    'spiffe://sluice.local/ns/sh%6fp/sa/web',
    'spiffe://user@sluice.local/ns/shop/sa/web',
    'SPIFFE://sluice.local/ns/shop/sa/web',
    'https://sluice.local/ns/shop/sa/web',
  ])('is not %s', (text) => expect(parseSpiffeId(text)).toBeUndefined());
});

describe('an identity pattern', () => {
  it.each([
    ['spiffe://td/ns/shop/sa/web', { exact: 'spiffe://td/ns/shop/sa/web' }],
    ['spiffe://td/ns/shop/sa/*', { prefix: 'spiffe://td/ns/shop/sa/' }],
    ['spiffe://td/ns/shop/*', { prefix: 'spiffe://td/ns/shop/' }],
    ['spiffe://td/ns/*', { prefix: 'spiffe://td/ns/' }],
    ['spiffe://td/*', { prefix: 'spiffe://td/' }],
  ])('reads %s', (text, pattern) => expect(parseIdentityPattern(text)).toEqual(pattern));

  it.each([
    '*',
    'spiffe://*',
    'spiffe://td*',
    'spiffe://td/ns/shop/sa/we*',
    'spiffe://td/ns/*/sa/web',
    'spiffe://td/*/*',
    'td/ns/shop/sa/web',
    '',
  ])('does not read %j', (text) => expect(parseIdentityPattern(text)).toBeUndefined());
});

describe('a path pattern', () => {
  it.each([
    ['/', { exact: '/' }],
    ['/*', { prefix: '/' }],
    ['/items', { exact: '/items' }],
    ['/items/*', { prefix: '/items/' }],
    ['/a!b;c=d,e', { exact: '/a!b;c=d,e' }],
    ['/caf%C3%A9', { exact: '/caf%C3%A9' }],
    ['/a%20b', { exact: '/a%20b' }],
  ])('reads %s', (text, pattern) => expect(parsePathPattern(text)).toEqual(pattern));

  it.each([
    ['', 'it is empty'],
    ['items', 'it does not begin with a slash'],
    ['*', 'a star stands only for what follows a slash'],
    ['/it*', 'a star stands only for what follows a slash'],
    ['/*/a', 'a star stands only for what follows a slash'],
    ['/a//b', 'sidecars merge slashes'],
    ['/a/../b', 'sidecars resolve dot segments'],
    ['/a/.', 'sidecars resolve dot segments'],
    ['/a?b', 'a query is no part of a path'],
    ['/a#b', 'a fragment is no part of a path'],
    ['/a b', 'a space cannot stand in a path'],
    ['/%61', 'it is written as a'],
    ['/a%21', 'it is written as !'],
    ['/a%2Fb', 'sidecars refuse an encoded slash'],
    ['/a%5Cb', 'sidecars refuse a backslash'],
    ['/a%00', 'sidecars refuse a NUL'],
    ['/caf%c3%a9', 'sidecars write hex digits in capitals'],
    ['/a%', 'the percent sign encodes nothing'],
  ])('does not read %j: %s', (text) => expect(parsePathPattern(text)).toBeUndefined());
});

describe('a duration', () => {
  it.each([
    ['0s', 0],
    ['250ms', 250],
    ['30s', 30_000],
    ['5m', 300_000],
    ['2h', 7_200_000],
    ['90d', 7_776_000_000],
  ])('reads %s', (text, ms) => expect(parseDuration(text)).toBe(ms));
  it.each(['', '5', 's', '-1s', '1.5s', '1 s', '1S', '1m30s', '9999999999s'])('does not read %j', (text) =>
    expect(parseDuration(text)).toBeUndefined(),
  );
});

describe('canonical JSON', () => {
  it('orders keys and leaves out what is undefined', () => {
    expect(canonicalJson({ b: [1, { d: null, c: 'x' }], a: undefined, A: true })).toBe(
      '{"A":true,"b":[1,{"c":"x","d":null}]}',
    );
  });
});

describe('a JSON pointer', () => {
  it('escapes what it must', () => {
    expect(pointer('metadata', 'labels', 'sluice.mesh/a~b', 0)).toBe('/metadata/labels/sluice.mesh~1a~0b/0');
    expect(pointer()).toBe('');
  });
});
