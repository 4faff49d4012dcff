/** Single things that the database remembers of what belongs to it and is kept elsewhere. */
import type { Database } from './database.js';
import { RememberedRow } from './entities.js';

export class Memory {
  constructor(private readonly database: Database) {}

  async recall(what: 'trust-anchor'): Promise<string | undefined> {
    const row = await this.database.read((manager) => manager.findOneBy(RememberedRow, { what }));
    return row?.value;
  }

  async remember(what: 'trust-anchor', value: string): Promise<void> {
    await this.database.write((transaction) => transaction.upsert(RememberedRow, { what, value }, ['what']));
  }
}
