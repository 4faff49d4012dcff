import { expect, it } from 'vitest';
import { ApiTokenStore } from './api-token-store.js';
import { Database } from './database.js';

it('knows a token until an instant, and not until a text: years may have more than four digits', async () => {
  const database = await Database.open(':memory:');
  const tokens = new ApiTokenStore(database, () => new Date('2026-01-01T00:00:00Z'));
  const { text, expiresAt } = await tokens.create('patient', 9_999_999 * 86_400_000);
  expect(expiresAt).toMatch(/^\+/);
  expect(await tokens.authenticate(text)).toBeDefined();
  await database.close();
});
