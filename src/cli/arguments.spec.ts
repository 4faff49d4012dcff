import { describe, expect, it } from 'vitest';
import {
  readDuration,
  readForward,
  readLabel,
  readLimit,
  readName,
  readPort,
  readTarget,
  readTimeout,
} from './arguments.js';

describe('labels', () => {
  it('are collected', () => {
    expect(readLabel('team=checkout', readLabel('version=v1'))).toEqual({ version: 'v1', team: 'checkout' });
    expect(readLabel('empty=')).toEqual({ empty: '' });
  });

  it.each([
    ['version', /KEY=VALUE/],
    ['=v1', /KEY=VALUE/],
    ['version=a b', /KEY=VALUE/],
    ['a=b=c', /KEY=VALUE/],
    ['__proto__=x', /KEY=VALUE/],
    ['sluice.mesh/service=cart', /--service/],
  ])('refuses %s', (text, why) => expect(() => readLabel(text)).toThrow(why));

  it('refuses one that is given twice', () => {
    expect(() => readLabel('version=v2', { version: 'v1' })).toThrow(/twice/);
  });
});

describe('ports', () => {
  it('are collected', () => {
    expect(readPort('9102', readPort('http=9001'))).toEqual([{ name: 'http', port: 9001 }, { port: 9102 }]);
    expect(readPort('65535')).toEqual([{ port: 65_535 }]);
  });

  it.each(['', '0', '65536', '80x', '-1', 'http=', 'http', '=80', 'HTTP=80', 'a=b=1'])('refuses "%s"', (text) =>
    expect(() => readPort(text)).toThrow(/must be/),
  );
});

describe('forwarded ports', () => {
  it('are collected', () => {
    expect(readForward('16379=cache.shop:6379', readForward('15432=db:5432'))).toEqual([
      { port: 15_432, to: 'db:5432' },
      { port: 16_379, to: 'cache.shop:6379' },
    ]);
  });

  it.each(['', '15432', '0=db:5432', '15432=db', '15432=db:0', '15432=10.0.0.1:5432', '1=Db:2', '1=a.b.c:2', 'x=db:1'])(
    'refuses "%s"',
    (text) => expect(() => readForward(text)).toThrow(/must be/),
  );
});

describe.each([
  ['a name', readName, ['cart', 'cart-v1', '9'], ['', 'Cart', '-a', 'a.b', 'a'.repeat(64)]],
  ['a duration', readDuration, ['500ms', '30s', '5m'], ['', '30', 's', '1.5s', '-1s']],
  ['a time to wait', readTimeout, ['0s', '500ms', '30s', '10m', '600s'], ['', '30', '20m', '601s', '1h', '99999999d']],
  ['a target', readTarget, ['1%', '100%', '1', '250'], ['', '0', '0%', '101%', '50.5%', '%', '-1']],
  ['a limit', readLimit, ['1', '5000'], ['', '0', 'all', '-1']],
])('%s', (_, read: (text: string) => unknown, good, bad) => {
  it.each(good)('may be %s', (text) => expect(String(read(text))).toBe(text));
  it.each(bad)('may not be "%s"', (text) => expect(() => read(text)).toThrow(/must be/));
});
