/** When a certificate is to be replaced: well before its end, and not by everybody at once. Pure. */

/** The part of its life after which a leaf is renewed, and how far from that chance may move it. */
const RENEW_AT = 0.7;
const JITTER = 0.05;

/** The time to renew a certificate, in milliseconds since the epoch. `random` is from 0 to 1. */
export function renewalTime(notBefore: Date, notAfter: Date, random: number): number {
  const life = notAfter.getTime() - notBefore.getTime();
  return notBefore.getTime() + life * (RENEW_AT + JITTER * (2 * random - 1));
}
