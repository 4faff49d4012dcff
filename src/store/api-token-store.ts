/** The tokens that open the REST API. */
import { MeshError } from '../model/mesh-error.js';
import { mintToken, readToken, sameHash } from './bearer-token.js';
import type { Database } from './database.js';
import { ApiTokenRow } from './entities.js';

export interface ApiToken {
  readonly id: string;
  /** Unique; the author of the revisions that it makes. */
  readonly name: string;
  readonly createdAt: string;
  /** Absent: it does not expire. */
  readonly expiresAt?: string;
}

export class ApiTokenStore {
  private readonly listeners = new Set<(id: string) => void>();

  constructor(
    private readonly database: Database,
    private readonly clock: () => Date = () => new Date(),
  ) {}

  private get rows() {
    return this.database.rows(ApiTokenRow);
  }

  async list(): Promise<ApiToken[]> {
    return (await this.rows.find({ order: { name: 'ASC' } })).map(tokenOf);
  }

  /**
   * Makes a first token where none is good for anything (any more): there must be a way in. Once `keep` has put its text
   * where somebody finds it. An expired one of that name gives way.
   */
  async createFirst(name: string, keep: (text: string) => void): Promise<void> {
    const now = this.clock().getTime();
    const isGood = ({ expiresAt }: ApiToken): boolean => expiresAt === undefined || Date.parse(expiresAt) > now;
    const known = await this.list();
    if (known.some(isGood)) return;
    if (known.some((token) => token.name === name)) await this.revoke(name);
    await this.create(name, undefined, keep);
  }

  /**
   * Makes a token. Its text is in the answer, and is stored nowhere else. Throws `conflict` when the name is taken.
   * `keep` is called before the token is good for anything: should it fail, there is no token.
   */
  async create(
    name: string,
    lifetimeMs?: number,
    keep: (text: string) => void = () => undefined,
  ): Promise<ApiToken & { readonly text: string }> {
    const { id, hash, text } = mintToken('slcapi');
    const now = this.clock();
    const expiresAt = lifetimeMs === undefined ? null : new Date(now.getTime() + lifetimeMs).toISOString();
    const row = { id, name, hash, createdAt: now.toISOString(), expiresAt };
    await this.database.write(async (transaction) => {
      if (await transaction.existsBy(ApiTokenRow, { name })) {
        throw new MeshError('conflict', `there is a token "${name}" already; revoke it first or choose another name`);
      }
      keep(text);
      await transaction.insert(ApiTokenRow, row);
    });
    return { ...tokenOf(row), text };
  }

  /** The token that `text` is, if it is one and has not expired. */
  async authenticate(text: string): Promise<ApiToken | undefined> {
    const claimed = readToken('slcapi', text);
    if (!claimed) return undefined;
    const row = await this.rows.findOneBy({ id: claimed.id });
    if (!row || !sameHash(row.hash, claimed.hash)) return undefined;
    const hasExpired = row.expiresAt !== null && Date.parse(row.expiresAt) <= this.clock().getTime();
    return hasExpired ? undefined : tokenOf(row);
  }

  /** Throws `not-found`. */
  async revoke(name: string): Promise<void> {
    const id = await this.database.write(async (transaction) => {
      const row = await transaction.findOneBy(ApiTokenRow, { name });
      if (!row) throw MeshError.notFound(`token "${name}"`);
      await transaction.delete(ApiTokenRow, { id: row.id });
      return row.id;
    });
    for (const listener of this.listeners) listener(id);
  }

  /** Calls `listener` with the id of every token that is revoked. Returns what ends that. */
  onRevoke(listener: (id: string) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }
}

const tokenOf = ({ id, name, createdAt, expiresAt }: ApiTokenRow): ApiToken => ({
  id,
  name,
  createdAt,
  ...(expiresAt !== null && { expiresAt }),
});
