/** Join tokens, and the sidecars that have joined by one. */
import { LessThan } from 'typeorm';
import type { Labels, SpiffeId } from '../model/names.js';
import { mintToken, readToken, sameHash } from './bearer-token.js';
import type { Database } from './database.js';
import { EnrolmentRow, JoinTokenRow } from './entities.js';

/** What a join token makes of the sidecar that uses it. A sidecar can claim no more than this. */
export interface Claims {
  readonly namespace: string;
  readonly name: string;
  readonly identity: SpiffeId;
  readonly labels: Labels;
}

export interface JoinToken extends Claims {
  readonly id: string;
  readonly expiresAt: string;
}

export type Redeemed =
  | { readonly claims: Claims; readonly refused?: undefined }
  /** Why not. For the log; whoever knocks learns only that the door stays shut. */
  | { readonly refused: 'wrong' | 'used' | 'expired'; readonly id?: string };

export class EnrolmentStore {
  constructor(
    private readonly database: Database,
    private readonly clock: () => Date = () => new Date(),
  ) {}

  /** Makes a token that lets one sidecar join, once, within `lifetimeMs`. Its text is in the answer and nowhere else. */
  async createToken(claims: Claims, lifetimeMs: number): Promise<JoinToken & { readonly text: string }> {
    const { id, hash, text } = mintToken('slcjoin');
    const now = this.clock();
    const expiresAt = new Date(now.getTime() + lifetimeMs).toISOString();
    const { labels, ...columns } = claims;
    const row = {
      ...columns,
      id,
      hash,
      labels: JSON.stringify(labels),
      createdAt: now.toISOString(),
      expiresAt,
      usedAt: null,
    };
    const aDayAgo = new Date(now.getTime() - 86_400_000).toISOString();
    await this.database.write(async (transaction) => {
      // Kept for a while after their end, so that the log can tell an expired token from a wrong one.
      await transaction.delete(JoinTokenRow, { expiresAt: LessThan(aDayAgo) });
      await transaction.insert(JoinTokenRow, row);
    });
    return { ...claims, id, expiresAt, text };
  }

  /** Uses a token up and enrols its sidecar, both or neither. */
  async redeem(text: string): Promise<Redeemed> {
    const claimed = readToken('slcjoin', text);
    if (!claimed) return { refused: 'wrong' };
    return this.database.write(async (transaction): Promise<Redeemed> => {
      const row = await transaction.findOneBy(JoinTokenRow, { id: claimed.id });
      if (!row || !sameHash(row.hash, claimed.hash)) return { refused: 'wrong', id: claimed.id };
      const now = this.clock().toISOString();
      if (row.usedAt !== null) return { refused: 'used', id: row.id };
      if (row.expiresAt <= now) return { refused: 'expired', id: row.id };
      await transaction.update(JoinTokenRow, { id: row.id }, { usedAt: now });
      const { namespace, name, identity, labels } = row;
      const enrolment = { namespace, name, identity, labels, seenAt: now };
      await transaction.upsert(EnrolmentRow, enrolment, ['namespace', 'name']);
      return { claims: claimsOf(row) };
    });
  }

  /** The claims of the sidecar that joined for that workload and was not evicted since. */
  async find(namespace: string, name: string): Promise<Claims | undefined> {
    const row = await this.database.rows(EnrolmentRow).findOneBy({ namespace, name });
    return row ? claimsOf(row) : undefined;
  }

  /** Says whether any sidecar of `identity` has joined and was not evicted since. */
  isEnrolled(identity: SpiffeId): Promise<boolean> {
    return this.database.rows(EnrolmentRow).existsBy({ identity });
  }

  /** Notes that a sidecar is there. */
  async seen(namespace: string, name: string): Promise<void> {
    const seenAt = this.clock().toISOString();
    await this.database.write((transaction) => transaction.update(EnrolmentRow, { namespace, name }, { seenAt }));
  }

  /** Turns a sidecar out: it is told nothing any more until it joins again. */
  async evict(namespace: string, name: string): Promise<void> {
    await this.database.write((transaction) => transaction.delete(EnrolmentRow, { namespace, name }));
  }

  /** Forgets the sidecars that were not heard of for `ageMs`, and says which those were. */
  async forgetUnseen(ageMs: number): Promise<Claims[]> {
    const lapsed = { seenAt: LessThan(new Date(this.clock().getTime() - ageMs).toISOString()) };
    return this.database.write(async (transaction) => {
      const claims = (await transaction.findBy(EnrolmentRow, lapsed)).map(claimsOf);
      await transaction.delete(EnrolmentRow, lapsed);
      return claims;
    });
  }
}

const claimsOf = ({ namespace, name, identity, labels }: JoinTokenRow | EnrolmentRow): Claims => ({
  namespace,
  name,
  identity: identity as SpiffeId,
  labels: JSON.parse(labels) as Labels,
});
