/** Waiting for what many changes came to. */
import { expect, it, vi } from 'vitest';
import { waitIfAsked } from './change-options.js';
import type { Answer, RequestOptions } from './rest.js';
import { terminal } from './terminal.js';

it('waits for a few revisions at a time, each within what is left of the time for all, and gives the last receipt', async () => {
  vi.spyOn(terminal, 'talk').mockReturnValue();
  const asked: { path: string; options: RequestOptions; answer: () => void }[] = [];
  const rest = {
    request: (_: string, path: string, options: RequestOptions = {}) =>
      new Promise<Answer>((resolve) => {
        const revision = Number(/\d+(?=\/receipt)/.exec(path)?.[0]);
        const body = { revision, affected: 0, serving: 0, laggards: [], lost: [], why: '' };
        asked.push({ path, options, answer: () => resolve({ status: 200, body }) });
      }),
  };
  const revisions = Array.from({ length: 300 }, (_, at) => Math.floor(at / 2) + 1);
  const waited = waitIfAsked(rest, revisions, { wait: '100%', timeout: '30s', lost: 'count' });
  let most = 0;
  let total = 0;
  while (total < 150) {
    await vi.waitFor(() => expect(asked.length).toBeGreaterThan(0));
    most = Math.max(most, asked.length);
    for (const { options, answer } of asked.splice(0)) {
      total += 1;
      expect(options.query).toMatchObject({ wait: '100%', lost: 'count' });
      expect(options.patienceMs).toBeLessThanOrEqual(30_000);
      answer();
    }
  }
  expect(most).toBe(8);
  expect(await waited).toMatchObject({ receipt: { revision: 150 } });
});
