/** Tokens: what opens a door, what does not, and that a database tells nobody how to open one. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { spiffeId } from '../model/names.js';
import { ApiTokenStore } from './api-token-store.js';
import { Database } from './database.js';
import { EnrolmentStore, type Claims } from './enrolment-store.js';
import { ApiTokenRow, JoinTokenRow } from './entities.js';

const MINUTE = 60_000;

let database: Database;
let now: number;
const clock = () => new Date(now);

/** What follows the purpose and the id; it may have underscores of its own. */
const secretOf = (text: string): string => {
  const secret = /^[a-z]+_[0-9a-f]+_(.{43})$/.exec(text)?.[1];
  if (secret === undefined) throw new Error('this is no token');
  return secret;
};

beforeEach(async () => {
  database = await Database.open(':memory:');
  now = Date.parse('2026-01-01T00:00:00Z');
});
afterEach(() => database.close());

describe('a token of the API', () => {
  it('is known by its text alone', async () => {
    const tokens = new ApiTokenStore(database, clock);
    const { text } = await tokens.create('ci');
    expect(await tokens.authenticate(text)).toMatchObject({ name: 'ci' });
  });

  it.each([
    ['with another secret', (text: string) => text.replace(/.$/, text.endsWith('A') ? 'B' : 'A')],
    ['with another id', (text: string) => text.replace(/_[0-9a-f]/, (first) => (first === '_0' ? '_1' : '_0'))],
    ['for another purpose', (text: string) => text.replace('slcapi', 'slcjoin')],
    ['that is no token', () => 'open sesame'],
    ['that is empty', () => ''],
  ])('is not known %s', async (_, forge) => {
    const tokens = new ApiTokenStore(database, clock);
    const { text } = await tokens.create('ci');
    expect(await tokens.authenticate(forge(text))).toBeUndefined();
  });

  it('is not known after it has expired, or was revoked', async () => {
    const tokens = new ApiTokenStore(database, clock);
    const { text: short } = await tokens.create('short', MINUTE);
    const { text: revoked } = await tokens.create('revoked');
    await tokens.revoke('revoked');
    expect(await tokens.authenticate(revoked)).toBeUndefined();
    expect(await tokens.authenticate(short)).toBeDefined();
    now += MINUTE;
    expect(await tokens.authenticate(short)).toBeUndefined();
  });

  it('has a name that no other one has', async () => {
    const tokens = new ApiTokenStore(database, clock);
    await tokens.create('ci');
    await expect(tokens.create('ci')).rejects.toMatchObject({ code: 'conflict' });
    await expect(tokens.revoke('nobody')).rejects.toMatchObject({ code: 'not-found' });
  });

  it('is not stored', async () => {
    const { text } = await new ApiTokenStore(database, clock).create('ci');
    expect(JSON.stringify(await database.rows(ApiTokenRow).find())).not.toContain(secretOf(text));
  });

  it('comes to be only once it was kept, if it is the first', async () => {
    const tokens = new ApiTokenStore(database, clock);
    const unwritable = tokens.createFirst('admin', () => {
      throw new Error('the disk is full');
    });
    await expect(unwritable).rejects.toThrow('the disk is full');
    expect(await tokens.list()).toEqual([]);
    const kept: string[] = [];
    await tokens.createFirst('admin', (text) => kept.push(text));
    await tokens.createFirst('admin', (text) => kept.push(text));
    expect(kept).toHaveLength(1);
    expect(await tokens.authenticate(kept[0] ?? '')).toMatchObject({ name: 'admin' });
  });
});

describe('a join token', () => {
  const claims: Claims = {
    namespace: 'shop',
    name: 'cart-v1',
    identity: spiffeId({ trustDomain: 'sluice.local', namespace: 'shop', account: 'cart' }),
    labels: { version: 'v1' },
  };

  it('enrols the sidecar that its maker meant', async () => {
    const enrolments = new EnrolmentStore(database, clock);
    const { text } = await enrolments.createToken(claims, MINUTE);
    expect(await enrolments.find('shop', 'cart-v1')).toBeUndefined();
    expect(await enrolments.redeem(text)).toEqual({ claims });
    expect(await enrolments.find('shop', 'cart-v1')).toEqual(claims);
    expect(await enrolments.isEnrolled(claims.identity)).toBe(true);
  });

  it('works once, even when it is used twice at the same time', async () => {
    const enrolments = new EnrolmentStore(database, clock);
    const { text } = await enrolments.createToken(claims, MINUTE);
    const outcomes = await Promise.all([1, 2, 3].map(() => enrolments.redeem(text)));
    expect(outcomes.map(({ refused }) => refused)).toEqual([undefined, 'used', 'used']);
  });

  it('is refused when it is wrong or has expired, and the log may know which', async () => {
    const enrolments = new EnrolmentStore(database, clock);
    const { text } = await enrolments.createToken(claims, MINUTE);
    expect(await enrolments.redeem('open sesame')).toEqual({ refused: 'wrong' });
    const forged = text.replace(/.$/, text.endsWith('A') ? 'B' : 'A');
    expect(await enrolments.redeem(forged)).toMatchObject({ refused: 'wrong' });
    now += MINUTE;
    expect(await enrolments.redeem(text)).toMatchObject({ refused: 'expired' });
    expect(await enrolments.find('shop', 'cart-v1')).toBeUndefined();
  });

  it('is not stored', async () => {
    const { text } = await new EnrolmentStore(database, clock).createToken(claims, MINUTE);
    expect(JSON.stringify(await database.rows(JoinTokenRow).find())).not.toContain(secretOf(text));
  });
});

describe('an enrolment', () => {
  it('ends by eviction, or when its sidecar was not heard of for too long', async () => {
    const enrolments = new EnrolmentStore(database, clock);
    for (const name of ['evicted', 'silent', 'present']) {
      const identity = spiffeId({ trustDomain: 'sluice.local', namespace: 'shop', account: name });
      const { text } = await enrolments.createToken({ namespace: 'shop', name, identity, labels: {} }, MINUTE);
      await enrolments.redeem(text);
    }
    await enrolments.evict('shop', 'evicted');
    now += 10 * MINUTE;
    await enrolments.seen('shop', 'present');
    now += MINUTE;
    expect((await enrolments.forgetUnseen(5 * MINUTE)).map(({ name }) => name)).toEqual(['silent']);
    expect(await enrolments.find('shop', 'evicted')).toBeUndefined();
    expect(await enrolments.find('shop', 'silent')).toBeUndefined();
    expect(await enrolments.find('shop', 'present')).toBeDefined();
  });
});
