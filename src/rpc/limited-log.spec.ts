/** How much of the log is whose. */
import { expect, it } from 'vitest';
import { LimitedLog } from './limited-log.js';

it('bears so many lines of each, and says later how many it left out', () => {
  const lines: string[] = [];
  const write = (fields: object, message: string) => void lines.push(`${message} ${JSON.stringify(fields)}`);
  let now = 0;
  const log = new LimitedLog({ info: write, warn: write }, () => now);
  for (let time = 0; time < 1_000; time += 1) log.warn('loud', { time }, 'again');
  expect(lines).toHaveLength(20);
  log.info('other', {}, 'quiet');
  expect(lines.at(-1)).toBe('quiet {}');
  now = 5_000;
  log.warn('loud', {}, 'again');
  expect(lines.at(-1)).toBe('again {"linesLeftOut":980}');
  log.warn('loud', {}, 'again');
  expect(lines).toHaveLength(22);
});
