/** What is never to be found in the log. */
import { describe, expect, it } from 'vitest';
import { mintToken, withoutTokens } from './store/bearer-token.js';

describe('a token in what is logged', () => {
  it.each(['slcapi', 'slcjoin'] as const)('keeps its id and loses its secret: %s', (purpose) => {
    const { id, text } = mintToken(purpose);
    const line = JSON.stringify({ path: `/v1/tokens/${text}`, err: { message: `no "${text}", nor ${text}x` } });
    const logged = withoutTokens(line);
    expect(logged).toContain(`${purpose}_${id}_[redacted]`);
    expect(logged).not.toContain(text.slice(-43));
    expect(JSON.parse(logged)).toHaveProperty('path', `/v1/tokens/${purpose}_${id}_[redacted]`);
  });
});
