/** What JSON.parse keeps silent about. */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { repeatedMembers } from './repeated-members.js';

describe('members that stand twice', () => {
  it.each([
    ['{"a":1,"a":2}', ['/a']],
    ['{"spec":{"backends":[{"weight":1},{"weight":90,"weight":10}]}}', ['/spec/backends/1/weight']],
    ['{"a":{"a":1},"b":{"a":{"a":[]}}}', []],
    ['[{"a":1},{"a":2}]', []],
    ['{"a":1,"\\u0061":2}', ['/a']],
    ['{"a\\"":"x, \\"a\\": {","a\\"":[1,[2,{"b":1,"b":1}]]}', ['/a"', '/a"/1/1/b']],
    ['{"a/b~":1,"a/b~":1}', ['/a~1b~0']],
    ['{"\\\\":"\\\\","\\\\":1}', ['/\\']],
    [' { "a" : 1 , "a" : 1 , "a" : 1 } ', ['/a', '/a']],
    ['"a"', []],
  ])('%s', (text, pointers) => {
    expect(repeatedMembers(text, 100)).toEqual(pointers);
  });

  it('are looked for until there are enough', () => {
    expect(repeatedMembers(`{${Array.from({ length: 1_000 }, () => '"a":1').join()}}`, 3)).toEqual(['/a', '/a', '/a']);
  });

  it('are in nothing that JSON.stringify wrote', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect(repeatedMembers(JSON.stringify(value, null, 1), 1)).toEqual([]);
      }),
    );
  });
});
