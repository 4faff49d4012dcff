/** Tokens: what opens a door, what does not, and that a database tells nobody how to open one. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ApiTokenStore } from './api-token-store.js';
import { Database } from './database.js';
import { ApiTokenRow } from './entities.js';

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

  it('is made anew at a start that finds none that is good any more', async () => {
    const tokens = new ApiTokenStore(database, clock);
    await tokens.create('admin', MINUTE);
    await tokens.create('ci', MINUTE);
    const kept: string[] = [];
    await tokens.createFirst('admin', (text) => kept.push(text));
    expect(kept).toEqual([]);
    now += MINUTE;
    await tokens.createFirst('admin', (text) => kept.push(text));
    expect(await tokens.authenticate(kept[0] ?? '')).toMatchObject({ name: 'admin' });
  });
});
