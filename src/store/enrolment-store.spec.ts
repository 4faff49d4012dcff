/** Join tokens and enrolments: who comes in by what, who speaks for a workload, and what outlives a restart. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Origin } from '../model/document.js';
import { spiffeId } from '../model/names.js';
import { Database } from './database.js';
import { EnrolmentStore, type Claims, type Enrolment, type EnrolmentEvent } from './enrolment-store.js';
import { EnrolmentRow, JoinTokenRow } from './entities.js';
import { SqlRevisionLog } from './revision-log.js';

const MINUTE = 60_000;
const DAY = 86_400_000;

let database: Database;
let now: number;
let enrolments: EnrolmentStore;
let events: EnrolmentEvent[];
const clock = () => new Date(now);
const nobodyIsThere = () => false;

const claimsFor = (name: string): Claims => ({
  namespace: 'shop',
  name,
  identity: spiffeId({ trustDomain: 'sluice.local', namespace: 'shop', account: 'cart' }),
  labels: { version: 'v1' },
});
const claims = claimsFor('cart-v1');

beforeEach(async () => {
  database = await Database.open(':memory:');
  now = Date.parse('2026-01-01T00:00:00Z');
  enrolments = await EnrolmentStore.open(database, clock);
  events = [];
  enrolments.onEvent((event) => events.push(event));
});
afterEach(() => database.close());

let keys = 0;
const fresh = () => ({
  id: EnrolmentStore.newId(),
  key: `key ${(keys += 1)}`,
  certificateEndsAt: new Date(now + DAY),
});
const redeem = (text: string, isThere: (holder: Enrolment) => boolean = nobodyIsThere) =>
  enrolments.redeem(text, fresh(), isThere);

/** Makes a token for `name` and uses it. */
async function enrol(name: string): Promise<Enrolment> {
  const { text } = await enrolments.createToken(claimsFor(name), MINUTE, 'ci');
  const redeemed = await redeem(text);
  if (redeemed.refused !== undefined) throw new Error(redeemed.refused);
  return redeemed.enrolment;
}

describe('a join token', () => {
  it('enrols the sidecar that its maker meant, and both are told apart later', async () => {
    const { id, text } = await enrolments.createToken(claims, MINUTE, 'ci');
    expect(await enrolments.invited(text)).toMatchObject({ invitation: { ...claims, id, madeBy: 'ci' } });
    expect(enrolments.holding('shop', 'cart-v1')).toBeUndefined();
    const redeemed = await redeem(text);
    expect(redeemed).toMatchObject({ enrolment: { ...claims, joinTokenId: id, invitedBy: 'ci' } });
    expect(enrolments.holding('shop', 'cart-v1')).toMatchObject(claims);
    expect(events.map(({ what }) => what)).toEqual(['invited', 'joined']);
  });

  it('works once, even when it is used twice at the same time', async () => {
    const { text } = await enrolments.createToken(claims, MINUTE, 'ci');
    const outcomes = await Promise.all([1, 2, 3].map(() => redeem(text)));
    expect(outcomes.map(({ refused }) => refused)).toEqual([undefined, 'used', 'used']);
    expect([...enrolments.all()]).toHaveLength(1);
  });

  it('is as good as before for whoever used it, by the same key, as long as it lives', async () => {
    const { id: tokenId, text } = await enrolments.createToken(claims, 3 * MINUTE, 'ci');
    const { id, key } = fresh();
    const used = async (more: object = {}) =>
      enrolments.redeem(text, { id, key, certificateEndsAt: new Date(now + DAY), ...more }, () => true);
    await used();
    now += MINUTE;
    expect(await enrolments.invited(text)).toMatchObject({ invitation: claims, joined: { enrolment: id, key } });
    expect(await used()).toMatchObject({ enrolment: { id, certificateEndsAt: new Date(now + DAY).toISOString() } });
    expect([...enrolments.all()]).toHaveLength(1);
    expect(await used({ key: 'another' })).toMatchObject({ refused: 'used' });
    expect(await used({ id: EnrolmentStore.newId() })).toEqual({ refused: 'overtaken' });
    const again = await EnrolmentStore.open(database, clock);
    expect(again.get(id)).toEqual(enrolments.get(id));
    now += 2 * MINUTE;
    expect(await used()).toEqual({ refused: 'used', id: tokenId });
  });

  it('is used up when the one that used it has ended', async () => {
    const { text } = await enrolments.createToken(claims, MINUTE, 'ci');
    const one = fresh();
    await enrolments.redeem(text, one, nobodyIsThere);
    await enrolments.end(one.id, 'evicted');
    expect(await enrolments.invited(text)).toMatchObject({ refused: 'used' });
    expect(await enrolments.redeem(text, one, nobodyIsThere)).toMatchObject({ refused: 'used' });
  });

  it('is refused when it is wrong or has expired, and the log may know which', async () => {
    const { text } = await enrolments.createToken(claims, MINUTE, 'ci');
    const forged = text.replace(/.$/, text.endsWith('A') ? 'B' : 'A');
    for (const ask of [redeem, (token: string) => enrolments.invited(token)]) {
      expect(await ask('open sesame')).toEqual({ refused: 'wrong' });
      expect(await ask(forged)).toMatchObject({ refused: 'wrong' });
    }
    now += MINUTE;
    expect(await enrolments.invited(text)).toMatchObject({ refused: 'expired' });
    expect(await redeem(text)).toMatchObject({ refused: 'expired' });
    expect(enrolments.holding('shop', 'cart-v1')).toBeUndefined();
  });

  it('is not stored', async () => {
    const { text } = await enrolments.createToken(claims, MINUTE, 'ci');
    expect(JSON.stringify(await database.rows(JoinTokenRow).find())).not.toContain(text.slice(-43));
  });
});

describe('a second sidecar for a workload', () => {
  it('ends the first for good when that one is not there', async () => {
    const first = await enrol('cart-v1');
    const second = await enrol('cart-v1');
    expect(second.id).not.toBe(first.id);
    expect(enrolments.get(first.id)).toMatchObject({ ended: 'replaced', endedAt: clock().toISOString() });
    expect(enrolments.holding('shop', 'cart-v1')?.id).toBe(second.id);
    expect(events.at(-2)).toMatchObject({ what: 'ended', enrolment: { id: first.id, ended: 'replaced' } });
  });

  it('is refused while the first is there, and keeps its token', async () => {
    const first = await enrol('cart-v1');
    const { text } = await enrolments.createToken(claims, MINUTE, 'ci');
    const isThere = ({ id }: Enrolment) => id === first.id;
    expect(await redeem(text, isThere)).toMatchObject({ refused: 'held', holder: { id: first.id } });
    expect(enrolments.get(first.id)).not.toHaveProperty('ended');
    await enrolments.end(first.id, 'evicted');
    expect(await redeem(text, isThere)).toMatchObject({ enrolment: claims });
  });
});

describe('an enrolment', () => {
  it('ends once, says how and by whom, and never comes back', async () => {
    const { id } = await enrol('cart-v1');
    expect(await enrolments.end(id, 'evicted', 'ops')).toBe(true);
    expect(await enrolments.end(id, 'left')).toBe(false);
    expect(await enrolments.renewed(id, new Date(now + 2 * DAY))).toBe(false);
    enrolments.seen(id);
    await enrolments.registered(id);
    await enrolments.saveSights();
    expect(enrolments.get(id)).toMatchObject({ ended: 'evicted' });
    expect(enrolments.holding('shop', 'cart-v1')).toBeUndefined();
    expect(events.at(-1)).toMatchObject({ what: 'ended', by: 'ops' });
  });

  it('is not revived by a renewal that was under way when it ended', async () => {
    const { id } = await enrol('cart-v1');
    const outcomes = await Promise.all([
      enrolments.end(id, 'evicted'),
      enrolments.renewed(id, new Date(now + 2 * DAY)),
      enrolments.registered(id),
    ]);
    expect(outcomes.slice(0, 2)).toEqual([true, false]);
    const again = await EnrolmentStore.open(database, clock);
    expect(again.get(id)).toMatchObject({ ended: 'evicted' });
    expect(again.get(id)).not.toHaveProperty('registeredAt');
  });

  it('is listed after its end for as long as its certificate is good', async () => {
    const { id } = await enrol('cart-v1');
    await enrolments.end(id, 'left');
    now += DAY;
    await enrolments.saveSights();
    expect(enrolments.get(id)).toBeDefined();
    now += 1;
    await enrolments.saveSights();
    expect(enrolments.get(id)).toBeUndefined();
    expect(await database.rows(EnrolmentRow).count()).toBe(0);
  });
});

describe('a revision that deletes what a sidecar has registered', () => {
  let log: SqlRevisionLog;
  beforeEach(async () => {
    log = await SqlRevisionLog.open(database);
    enrolments.follow(log);
  });

  const deleting = (name: string, origin: Origin = 'sidecar'): Promise<'ok' | 'moved'> => {
    const at = clock().toISOString();
    const ref = { kind: 'Workload', namespace: 'shop', name } as const;
    const marks = { labels: {}, annotations: {}, origin, revision: 0, createdAt: at, updatedAt: at };
    const before = { kind: ref.kind, metadata: { namespace: 'shop', name, ...marks }, spec: {} };
    const number = log.head + 1;
    return log.append(log.head, [{ number, author: 'ada', comment: '', at, changes: [{ ref, before }] }]);
  };
  const rowOf = (id: string) => database.rows(EnrolmentRow).findOneByOrFail({ id });

  it('ends the sidecar with it, by the name of who did it', async () => {
    const { id } = await enrol('out');
    await enrolments.registered(id);
    await deleting('out');
    expect(enrolments.get(id)).toMatchObject({ ended: 'evicted', endedAt: clock().toISOString() });
    expect(await rowOf(id)).toMatchObject({ ended: 'evicted', endedAt: clock().toISOString() });
    expect(enrolments.holding('shop', 'out')).toBeUndefined();
    expect(events.at(-1)).toMatchObject({ what: 'ended', enrolment: { id }, by: 'ada' });
    expect(await enrolments.end(id, 'evicted')).toBe(false);
  });

  it.each(['before', 'after'])('ends it for good, when it gets a certificate right %s', async (when) => {
    const { id } = await enrol('out');
    await enrolments.registered(id);
    const renew = () => enrolments.renewed(id, new Date(now + DAY));
    const works: (() => Promise<unknown>)[] = [() => deleting('out'), renew];
    await Promise.all((when === 'before' ? works.reverse() : works).map((work) => work()));
    expect(enrolments.get(id)?.ended).toBe('evicted');
    expect(await rowOf(id)).toMatchObject({ ended: 'evicted' });
    expect(await renew()).toBe(false);
  });

  it('ends nobody who has said nothing yet, and nobody when it is not kept or is about something else', async () => {
    const [silent, other, spared] = [await enrol('silent'), await enrol('other'), await enrol('spared')];
    for (const { id } of [other, spared]) await enrolments.registered(id);
    await deleting('silent');
    await deleting('other', 'rest');
    await database
      .rows(EnrolmentRow)
      .query(`CREATE TEMP TRIGGER full BEFORE INSERT ON revision BEGIN SELECT RAISE(ABORT, 'the disk is full'); END`);
    await expect(deleting('spared')).rejects.toMatchObject({ code: 'store-unavailable' });
    for (const { id } of [silent, other, spared]) {
      expect(enrolments.get(id)?.ended).toBeUndefined();
      expect((await rowOf(id)).ended).toBeNull();
    }
  });
});

describe('a store that is opened again', () => {
  it('knows all that it knew', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'sluice-enrolments-'));
    try {
      await database.close();
      database = await Database.open(join(directory, 'sluice.db'));
      enrolments = await EnrolmentStore.open(database, clock);
      const [left, registered, silent] = [await enrol('left'), await enrol('registered'), await enrol('silent')];
      await enrolments.end(left.id, 'left');
      await enrolments.registered(registered.id);
      now += MINUTE;
      await enrolments.renewed(registered.id, new Date(now + DAY));
      enrolments.seen(silent.id);
      await enrolments.saveSights();
      const before = [...enrolments.all()];
      await database.close();
      database = await Database.open(join(directory, 'sluice.db'));
      const again = await EnrolmentStore.open(database, clock);
      expect(new Set(again.all())).toEqual(new Set(before));
      expect(again.holding('shop', 'left')).toBeUndefined();
      expect(again.holding('shop', 'silent')).toMatchObject({ seenAt: clock().toISOString() });
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});
