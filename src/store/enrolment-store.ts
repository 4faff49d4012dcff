/** Join tokens, and the sidecars that have joined by one: all in memory, as each call of a sidecar asks for them, and kept. */
import { randomBytes } from 'node:crypto';
import { IsNull, LessThan, Not, type EntityManager } from 'typeorm';
import { keyOf } from '../model/document.js';
import { earliestNow } from '../model/steady-time.js';
import { mintToken, readToken, sameHash, type HashedToken } from './bearer-token.js';
import type { Database } from './database.js';
import type { SqlRevisionLog } from './revision-log.js';
import type { Lane } from './turns.js';
import { EnrolmentRow, JoinTokenRow } from './entities.js';
import {
  enrolmentOf,
  invitationOf,
  rowOf,
  type Claims,
  type Ending,
  type Enrolment,
  type EnrolmentEvent,
  type Invitation,
  type Invited,
  type NewEnrolment,
  type Redeemed,
} from './enrolment.js';

export type { BadToken, Claims, Ending, Enrolment, EnrolmentEvent, Invitation } from './enrolment.js';

const DAY_MS = 86_400_000;

/** Has not ended, and has said where its workload is. */
const REGISTERED = { ended: IsNull(), registeredAt: Not(IsNull()) };

export class EnrolmentStore {
  private readonly listeners = new Set<(event: EnrolmentEvent) => void>();
  private readonly byName = new Map<string, Enrolment>();
  /** Last heard of at another time than the database knows. */
  private readonly unsavedSights = new Set<string>();
  private readonly turns = new Map<string, Promise<void>>();
  /** By the number of a revision that is being kept, whom it turns out. */
  private readonly turnedOut = new Map<number, readonly Enrolment[]>();

  private constructor(
    private readonly database: Database,
    private readonly byId: Map<string, Enrolment>,
    private readonly clock: () => Date,
  ) {
    for (const enrolment of byId.values()) if (!enrolment.ended) this.byName.set(keyOf(enrolment), enrolment);
  }

  static async open(database: Database, clock: () => Date = () => new Date()): Promise<EnrolmentStore> {
    const rows = await database.read((manager) => manager.find(EnrolmentRow));
    const enrolments = rows.map(enrolmentOf);
    return new EnrolmentStore(database, new Map(enrolments.map((enrolment) => [enrolment.id, enrolment])), clock);
  }

  /**
   * Ends whom a revision of `log` turns out, in the same transaction: whoever deletes a workload that its sidecar has registered
   * means the sidecar.
   */
  follow(log: Pick<SqlRevisionLog, 'keepAlongside' | 'onChange'>): void {
    log.keepAlongside(async (transaction, revisions) => {
      for (const { number, at, changes } of revisions) {
        const out: Enrolment[] = [];
        for (const { ref, before, after } of changes) {
          if (after || before?.metadata.origin !== 'sidecar') continue;
          const { namespace, name } = ref;
          const rows = await transaction.findBy(EnrolmentRow, { namespace, name, ...REGISTERED });
          out.push(...rows.map((row) => ended(enrolmentOf(row), 'evicted', at)));
        }
        for (const { id, endedAt = at } of out) {
          await transaction.update(EnrolmentRow, { id }, { ended: 'evicted', endedAt });
        }
        this.turnedOut.set(number, out);
      }
    });
    log.onChange(({ revision: { number, author } }) => {
      const out = this.turnedOut.get(number) ?? [];
      this.turnedOut.delete(number);
      for (const enrolment of out) this.keep(enrolment);
      for (const enrolment of out) this.tell({ what: 'ended', enrolment, by: author });
    });
  }

  /** An id for an enrolment to come. */
  static newId = (): string => randomBytes(8).toString('hex');

  /** Calls `listener`, which must not throw, after each event. Returns what ends that. */
  onEvent(listener: (event: EnrolmentEvent) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** Makes a token that lets one sidecar join, once, within `lifetimeMs`. Its text is in the answer and nowhere else. */
  async createToken(
    claims: Claims,
    lifetimeMs: number,
    madeBy: string,
  ): Promise<Invitation & { readonly text: string }> {
    const { id, hash, text } = mintToken('slcjoin');
    const now = this.clock();
    const row: JoinTokenRow = {
      ...claims,
      id,
      hash,
      labels: JSON.stringify(claims.labels),
      createdAt: now.toISOString(),
      expiresAt: new Date(now.getTime() + lifetimeMs).toISOString(),
      usedAt: null,
      usedByKey: null,
      madeBy,
    };
    const aDayAgo = new Date(earliestNow(now.getTime()) - DAY_MS).toISOString();
    await this.database.write(async (transaction) => {
      // Kept for a while after their end, so that the log can tell an expired token from a wrong one.
      await transaction.delete(JoinTokenRow, { expiresAt: LessThan(aDayAgo) });
      await transaction.insert(JoinTokenRow, row);
    });
    const invitation = invitationOf(row);
    this.tell({ what: 'invited', invitation });
    return { ...invitation, text };
  }

  /**
   * Whom a token lets in. It is good for that until it is redeemed, and as long as it lives for whoever has redeemed it: its
   * sidecar may not have heard the answer.
   */
  async invited(text: string): Promise<Invited> {
    const claimed = readToken('slcjoin', text);
    if (!claimed) return { refused: 'wrong' };
    const row = await this.database.read((manager) => manager.findOneBy(JoinTokenRow, { id: claimed.id }));
    return this.judge(claimed, row);
  }

  /**
   * Uses a token up and enrols its sidecar, both or neither. Whoever spoke for the workload before does so no more, unless
   * `isThere`: then nothing changes.
   */
  async redeem(text: string, fresh: NewEnrolment, isThere: (holder: Enrolment) => boolean): Promise<Redeemed> {
    const claimed = readToken('slcjoin', text);
    const invited = await this.invited(text);
    if (invited.refused !== undefined) return invited;
    if (!claimed) return { refused: 'wrong' };
    return this.inTurn(invited.invitation, () => this.enrol(claimed, fresh, isThere));
  }

  private async enrol(
    claimed: HashedToken,
    { id, key, certificateEndsAt }: NewEnrolment,
    isThere: (holder: Enrolment) => boolean,
  ): Promise<Redeemed> {
    const outcome = await this.database.write(async (transaction) => {
      const row = await transaction.findOneBy(JoinTokenRow, { id: claimed.id });
      const invited = this.judge(claimed, row);
      if (invited.refused !== undefined) return invited;
      const { invitation, joined } = invited;
      if (joined) return this.enrolAgain(transaction, joined, { id, key, certificateEndsAt });
      const holder = this.holding(invitation.namespace, invitation.name);
      if (holder && isThere(holder)) return { refused: 'held', holder } as const;
      const at = this.clock().toISOString();
      const { namespace, name, identity, labels } = invitation;
      const enrolment: Enrolment = {
        ...{ id, namespace, name, identity, labels },
        joinedAt: at,
        joinTokenId: invitation.id,
        invitedBy: invitation.madeBy,
        seenAt: at,
        certificateEndsAt: certificateEndsAt.toISOString(),
      };
      const replaced = holder && ended(holder, 'replaced', at);
      if (replaced) await transaction.update(EnrolmentRow, { id: replaced.id }, rowOf(replaced));
      await transaction.update(JoinTokenRow, { id: claimed.id }, { usedAt: at, usedByKey: key });
      await transaction.insert(EnrolmentRow, rowOf(enrolment));
      return { enrolment, replaced, isNew: true };
    }, 'strangers');
    if ('refused' in outcome) return outcome;
    const { enrolment, replaced, isNew } = outcome;
    if (replaced) this.keep(replaced);
    this.keep(enrolment);
    if (replaced) this.tell({ what: 'ended', enrolment: replaced });
    this.tell({ what: isNew ? 'joined' : 'renewed', enrolment });
    return { enrolment };
  }

  /** The same enrolment for whoever asks with the same key: it has a newer certificate, and nothing else is different. */
  private async enrolAgain(
    transaction: EntityManager,
    joined: { readonly enrolment: string; readonly key: string },
    { id, key, certificateEndsAt }: NewEnrolment,
  ) {
    const known = this.byId.get(joined.enrolment);
    if (!known || joined.key !== key) return { refused: 'used' } as const;
    if (known.id !== id) return { refused: 'overtaken' } as const;
    const enrolment: Enrolment = { ...known, certificateEndsAt: certificateEndsAt.toISOString() };
    const { affected } = await transaction.update(EnrolmentRow, { id, ended: IsNull() }, rowOf(enrolment));
    if (affected === 0) return { refused: 'used' } as const;
    return { enrolment, replaced: undefined, isNew: false };
  }

  /** The enrolment of that id, if there is one or was until its certificate ended. */
  get(id: string): Enrolment | undefined {
    return this.byId.get(id);
  }

  /** The one that speaks for a workload now. */
  holding(namespace: string, name: string): Enrolment | undefined {
    return this.byName.get(keyOf({ namespace, name }));
  }

  /** All of them, those that have ended included while their certificates are good. In no order. */
  all(): Iterable<Enrolment> {
    return this.byId.values();
  }

  /** Notes that a sidecar has registered its workload, for good. */
  async registered(id: string): Promise<void> {
    if (this.byId.get(id)?.registeredAt !== undefined) return;
    await this.change(id, (enrolment) => ({ ...enrolment, registeredAt: this.clock().toISOString() }), 'members');
  }

  /** Notes that a sidecar gets a new certificate; false when its enrolment has ended, and then it must not get it. */
  async renewed(id: string, certificateEndsAt: Date): Promise<boolean> {
    const [seenAt, endsAt] = [this.clock().toISOString(), certificateEndsAt.toISOString()];
    const renewed = await this.change(
      id,
      (enrolment) => ({ ...enrolment, seenAt, certificateEndsAt: endsAt }),
      'members',
    );
    if (renewed) this.tell({ what: 'renewed', enrolment: renewed });
    return renewed !== undefined;
  }

  /** Notes that a sidecar is there; `saveSights` makes it last. */
  seen(id: string): void {
    const enrolment = this.byId.get(id);
    if (!enrolment || enrolment.ended) return;
    this.keep({ ...enrolment, seenAt: this.clock().toISOString() });
    this.unsavedSights.add(id);
  }

  /** Writes since when sidecars are lost; undefined: one is not, or no longer. */
  async saveLost(lost: ReadonlyMap<string, string | undefined>): Promise<void> {
    await this.database.write(async (transaction) => {
      for (const [id, since] of lost) await transaction.update(EnrolmentRow, { id }, { lostSince: since ?? null });
    }, 'upkeep');
    for (const [id, lostSince] of lost) {
      const known = this.byId.get(id);
      if (!known) continue;
      const { lostSince: _, ...enrolment } = known;
      this.keep({ ...enrolment, ...(lostSince !== undefined && { lostSince }) });
    }
  }

  /** Writes when sidecars were last heard of, all in one go, and forgets ended enrolments that nobody can claim any more. */
  async saveSights(): Promise<void> {
    const ids = [...this.unsavedSights];
    const now = new Date(earliestNow(this.clock().getTime())).toISOString();
    const past = [...this.byId.values()].filter(({ ended, certificateEndsAt }) => ended && certificateEndsAt < now);
    if (ids.length === 0 && past.length === 0) return;
    this.unsavedSights.clear();
    await this.database.write(async (transaction) => {
      for (const id of ids) {
        const seenAt = this.byId.get(id)?.seenAt;
        if (seenAt !== undefined) await transaction.update(EnrolmentRow, { id }, { seenAt });
      }
      for (const { id } of past) await transaction.delete(EnrolmentRow, { id });
    }, 'upkeep');
    for (const { id } of past) this.byId.delete(id);
  }

  /** Ends an enrolment for good; false when there is none of that id that has not ended. `by` says who did it, for the log. */
  async end(id: string, ending: Ending, by?: string): Promise<boolean> {
    const over = await this.change(id, (enrolment) => ended(enrolment, ending, this.clock().toISOString()));
    if (over) this.tell({ what: 'ended', enrolment: over, ...(by !== undefined && { by }) });
    return over !== undefined;
  }

  private judge(claimed: HashedToken, row: JoinTokenRow | null): Invited {
    if (!row || !sameHash(row.hash, claimed.hash)) return { refused: 'wrong', id: claimed.id };
    if (row.usedAt !== null) return this.judgeUsed(row);
    if (row.expiresAt <= this.clock().toISOString()) return { refused: 'expired', id: row.id };
    return { invitation: invitationOf(row) };
  }

  private judgeUsed(row: JoinTokenRow): Invited {
    const enrolment = this.holding(row.namespace, row.name);
    const isAlive = row.expiresAt > this.clock().toISOString() && enrolment?.joinTokenId === row.id;
    if (!isAlive || row.usedByKey === null) return { refused: 'used', id: row.id };
    return { invitation: invitationOf(row), joined: { enrolment: enrolment.id, key: row.usedByKey } };
  }

  /**
   * Changes one that has not ended, and gives what came of it. First in the database: whoever asks must not be told what a
   * crash can undo.
   */
  private async change(
    id: string,
    changed: (now: Enrolment) => Enrolment,
    lane: Lane = 'operators',
  ): Promise<Enrolment | undefined> {
    const known = this.byId.get(id);
    if (!known) return undefined;
    return this.inTurn(known, async () => {
      const now = this.byId.get(id);
      if (!now || now.ended) return undefined;
      const enrolment = changed(now);
      const { affected } = await this.database.write(
        (transaction) => transaction.update(EnrolmentRow, { id, ended: IsNull() }, rowOf(enrolment)),
        lane,
      );
      // A revision may have ended it in the meantime.
      if (affected === 0) return undefined;
      this.keep(enrolment);
      return enrolment;
    });
  }

  /** Changes of who speaks for a workload come one after the other: none is made of what another one is about to change. */
  private inTurn<Result>(workload: Pick<Claims, 'namespace' | 'name'>, work: () => Promise<Result>): Promise<Result> {
    const key = keyOf(workload);
    const done = (this.turns.get(key) ?? Promise.resolve()).then(work);
    const settled = done.then(
      () => undefined,
      () => undefined,
    );
    this.turns.set(key, settled);
    void settled.then(() => {
      if (this.turns.get(key) === settled) this.turns.delete(key);
    });
    return done;
  }

  private keep(enrolment: Enrolment): void {
    this.byId.set(enrolment.id, enrolment);
    const key = keyOf(enrolment);
    if (!enrolment.ended) this.byName.set(key, enrolment);
    else if (this.byName.get(key)?.id === enrolment.id) this.byName.delete(key);
  }

  private tell(event: EnrolmentEvent): void {
    for (const listener of this.listeners) listener(event);
  }
}

const ended = (enrolment: Enrolment, ending: Ending, at: string): Enrolment => ({
  ...enrolment,
  ended: ending,
  endedAt: at,
});
