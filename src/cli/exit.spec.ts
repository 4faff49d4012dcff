import { describe, expect, it } from 'vitest';
import { EXIT, exitCodeHelp, exitOfProblem, type Exit } from './exit.js';

describe('the exit code of a problem document', () => {
  it.each<[code: string, status: number, exit: Exit]>([
    ['invalid', 400, EXIT.badInput],
    ['too-large', 413, EXIT.badInput],
    ['unauthenticated', 401, EXIT.notAuthorised],
    ['not-found', 404, EXIT.failed],
    ['conflict', 409, EXIT.failed],
    ['stale-revision', 409, EXIT.failed],
    ['store-unavailable', 503, EXIT.unavailable],
    ['not-applied-in-time', 504, EXIT.notInTime],
    ['refused-by-proxy', 502, EXIT.refused],
    ['internal', 500, EXIT.failed],
    ['of-a-gateway-between', 504, EXIT.unavailable],
  ])('%s (%i) ends with %i', (code, status, exit) => {
    expect(exitOfProblem({ status, type: `urn:sluice:problem:${code}` })).toBe(exit);
  });
});

it('explains every exit code in the help', () => {
  for (const code of Object.values(EXIT)) expect(exitCodeHelp()).toMatch(new RegExp(`^ {2}${code} +\\S`, 'm'));
});
