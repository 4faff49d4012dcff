/** IP addresses and networks as every part of the mesh reads them, the sidecars included. */
import { isIP } from 'node:net';

/**
 * Says whether `text` is an IP address. One with a zone (`fe80::1%eth0`, RFC 4007 §11) is none here: a zone means
 * something on one machine alone, and what is in the mesh is read on all of them.
 */
export const isIpAddress = (text: string): boolean => familyOf(text) !== 0;

/** Says whether `text` is a CIDR, such as `10.0.0.0/8` or `fd00::/8`; likewise without a zone. */
export function isCidr(text: string): boolean {
  const [address = '', length = '', ...rest] = text.split('/');
  const family = familyOf(address);
  return rest.length === 0 && family !== 0 && /^\d{1,3}$/.test(length) && Number(length) <= (family === 4 ? 32 : 128);
}

/** 4, 6, or 0 for what is no address. */
const familyOf = (text: string): number => (text.includes('%') ? 0 : isIP(text));

/** Says whether a host that something listens at is this machine alone. */
export const isLoopback = (host: string): boolean => host === 'localhost' || host === '::1' || host.startsWith('127.');
