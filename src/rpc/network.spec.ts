/** Whose addresses are taken for one and the same. */
import { expect, it } from 'vitest';
import { networkOf } from './network.js';

it.each([
  ['10.0.0.1', '10.0.0.1'],
  ['2001:db8:1:2::5', '2001:db8:1:2::/64'],
  ['2001:db8:1:2:aaaa:bbbb:cccc:dddd', '2001:db8:1:2::/64'],
  ['2001:0DB8::1', '2001:db8:0:0::/64'],
  ['fe80::1%eth0', 'fe80:0:0:0::/64'],
  ['::1', '0:0:0:0::/64'],
  ['::', '0:0:0:0::/64'],
])('%s comes from %s', (address, network) => expect(networkOf(address)).toBe(network));
