/** What others say of themselves. */
import { describe, expect, it } from 'vitest';
import { inOneLine } from './words.js';

describe('words of others', () => {
  it.each([
    ['as they are', 'sluice-proxy 0.1.0 — “ok”', 'sluice-proxy 0.1.0 — “ok”'],
    ['without what turns a line around', 'a\u202Etxt.exe\u2066b', 'a txt.exe b'],
    ['in one line', 'one\r\ntwo\u2028three\u001b[31mfour', 'one two three [31mfour'],
    ['no longer than they may be', 'x'.repeat(1_500_000), `${'x'.repeat(199)}…`],
    ['none', undefined, ''],
  ])('are kept %s', (_, said, kept) => expect(inOneLine(said, 200)).toBe(kept));
});
