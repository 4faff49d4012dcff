/** Where a sidecar may say that it is reached. */
import { describe, expect, it } from 'vitest';
import { unreachable } from './reach.js';

const away = { source: '10.1.2.3', onLoopback: false, networks: [] };
const local = { source: '127.0.0.1', onLoopback: true, networks: [] };
const wide = { source: '10.1.2.3', onLoopback: false, networks: ['172.16.0.0/12', 'fd00::/8'] };

describe('an address in a report', () => {
  it.each([
    ['where the report comes from', '10.1.2.3', away],
    ['the same in the clothes of IPv6', '::ffff:10.1.2.3', away],
    ['loopback of the machine that all are on', '127.0.0.1', local],
    ['loopback of IPv6 there', '::1', local],
    ['one of a network that is allowed', '172.17.0.9', wide],
    ['one of a network of IPv6 that is allowed', 'fd12::1', wide],
  ])('is taken: %s', (_, address, vantage) => expect(unreachable(address, vantage)).toBeUndefined());

  it.each([
    ['what hands out credentials', '169.254.169.254', wide],
    ['the same in the clothes of IPv6', '::ffff:a9fe:a9fe', wide],
    ['nowhere', '0.0.0.0', local],
    ['nowhere in IPv6', '::', local],
    ['everybody', '255.255.255.255', local],
    ['many', '224.0.0.1', local],
    ['many in IPv6', 'ff02::1', local],
    ['one link', 'fe80::1', local],
    ['loopback, for others elsewhere', '127.0.0.1', away],
    ['the same in the clothes of IPv6', '::ffff:127.0.0.1', away],
    ['somebody else', '10.1.2.4', away],
    ['somebody else for those on loopback', '10.1.2.4', local],
  ])('is refused: %s', (_, address, vantage) => expect(unreachable(address, vantage)).toMatch(/./));
});
