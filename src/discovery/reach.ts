/** At which addresses a sidecar may say that it is reached: where it is, and nowhere that others would be lured to. Pure. */
import { BlockList, isIPv4 } from 'node:net';

/** A network in CIDR notation, `10.0.0.0/8`. */
export type Network = string;

export interface Vantage {
  /** Where the report came from. */
  readonly source: string;
  /** Whether the control plane listens on loopback alone, so that all its sidecars are on its machine. */
  readonly onLoopback: boolean;
  /** Networks in which a sidecar may be reached at another address than the one that it reports from. */
  readonly networks: readonly Network[];
}

/** Where nobody is reached, or only whoever is asked. 169.254.169.254 hands out credentials. */
const NOBODY = blockList([
  '0.0.0.0/8',
  '169.254.0.0/16',
  '224.0.0.0/4',
  '240.0.0.0/4',
  '::/128',
  'fe80::/10',
  'ff00::/8',
]);
const LOOPBACK = blockList(['127.0.0.0/8', '::1/128']);

/** Why nobody may be sent to `address`; undefined when they may. The address is one, without a zone. */
export function unreachable(address: string, { source, onLoopback, networks }: Vantage): string | undefined {
  const plain = unmapped(address);
  if (contains(NOBODY, plain)) return `nobody is reached at ${address}`;
  if (contains(LOOPBACK, plain)) {
    return onLoopback ? undefined : `${address} is another machine for everybody else; say the one that they reach`;
  }
  if (plain === unmapped(source) || contains(blockList(networks), plain)) return undefined;
  return `the report comes from ${source} and says ${address}; allow that with --workload-networks of the server`;
}

function blockList(networks: readonly Network[]): BlockList {
  const list = new BlockList();
  for (const network of networks) {
    const [address = '', prefix = ''] = network.split('/');
    list.addSubnet(address, Number(prefix), isIPv4(address) ? 'ipv4' : 'ipv6');
  }
  return list;
}

const contains = (list: BlockList, address: string): boolean => list.check(address, isIPv4(address) ? 'ipv4' : 'ipv6');

/** An IPv4 address in the clothes of IPv6 is that address. */
function unmapped(address: string): string {
  if (isIPv4(address)) return address;
  // As the URL parser writes it: one way for each address, the last parts of a mapped one in hexadecimal.
  const { hostname } = new URL(`http://[${address}]/`);
  const [, high = '', low = ''] = /^\[::ffff:([0-9a-f]+):([0-9a-f]+)\]$/.exec(hostname) ?? [];
  if (low === '') return hostname.slice(1, -1);
  const [a, b] = [parseInt(high, 16), parseInt(low, 16)];
  return `${a >> 8}.${a & 255}.${b >> 8}.${b & 255}`;
}
