/** Tokens that prove a right by being known: how one is made, and what alone of it is kept. */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';

/** What a token is for; the first part of its text, so that one found somewhere tells what it opens. */
export type TokenPurpose = 'slcapi' | 'slcjoin';

/** A token as it is stored: no secret can be had from it. */
export interface HashedToken {
  readonly id: string;
  /** SHA-256 in hex. The secret has 256 random bits, so nothing slower is needed. */
  readonly hash: string;
}

/** A new token. `text` is shown once and never kept. */
export function mintToken(purpose: TokenPurpose): HashedToken & { readonly text: string } {
  const id = randomBytes(8).toString('hex');
  const secret = randomBytes(32).toString('base64url');
  return { id, hash: hashOf(secret), text: `${purpose}_${id}_${secret}` };
}

/** What a token's text says it is; undefined when it has not even the form of one. */
export function readToken(purpose: TokenPurpose, text: string): HashedToken | undefined {
  const [, prefix, id, secret] = /^([a-z]+)_([0-9a-f]{16})_([A-Za-z0-9_-]{43})$/.exec(text) ?? [];
  return prefix === purpose && id && secret ? { id, hash: hashOf(secret) } : undefined;
}

/** Compares in a time that does not tell where the two differ. */
export const sameHash = (a: string, b: string): boolean =>
  a.length === b.length && timingSafeEqual(Buffer.from(a), Buffer.from(b));

const hashOf = (secret: string): string => createHash('sha256').update(secret).digest('hex');

/** `text` without the secrets of tokens, wherever in it they stand: their ids remain, by which one finds whose they are. */
export const withoutTokens = (text: string): string =>
  text.replaceAll(/(slc[a-z]+_[0-9a-f]{16}_)[A-Za-z0-9_-]+/g, '$1[redacted]');
