import { describe, expect, it } from 'vitest';
import { isCidr, isIpAddress } from './addresses.js';

describe.each([
  [
    'an address',
    isIpAddress,
    ['10.0.0.1', '::1', 'fe80::1'],
    ['', 'localhost', '10.0.0', '10.0.0.1/8', 'fe80::1%eth0'],
  ],
  [
    'a CIDR',
    isCidr,
    ['10.0.0.0/8', '0.0.0.0/0', 'fd00::/8', '::/128'],
    ['', '10.0.0.0', '10.0.0.0/33', 'fd00::/129', '10.0.0.0/8/8', '10.0.0.0/', 'fe80::%eth0/64', 'fe80::/64%eth0'],
  ],
])('%s', (_, is: (text: string) => boolean, good, bad) => {
  it.each(good)('may be %s', (text) => expect(is(text)).toBe(true));
  it.each(bad)('may not be "%s"', (text) => expect(is(text)).toBe(false));
});
