/** From which network somebody comes, as far as one can tell: who may do only so much must not get more for a further address. */
import { isIPv6 } from 'node:net';

/** An IPv4 address as it is; of an IPv6 address the 64 bits that are not for whoever has them to choose. */
export function networkOf(address: string): string {
  if (!isIPv6(address)) return address;
  const [head = [], tail = []] = address
    .replace(/%.*/, '')
    .split('::')
    .map((half) => (half === '' ? [] : half.split(':')));
  // The last two groups may be written as an IPv4 address; they are not among the first four unless there are zeros before them.
  const zeros = Array<string>(Math.max(0, 8 - head.length - tail.length)).fill('0');
  const groups = [...head, ...zeros, ...tail].slice(0, 4).map((group) => parseInt(group, 16).toString(16));
  return `${groups.join(':')}::/64`;
}
