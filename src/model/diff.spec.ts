/** That a difference is what makes one value of the other, and that it is no longer than it need be. */
import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { canonicalJson } from './canonical-json.js';
import { differences, type Difference } from './diff.js';

type Container = Record<string, unknown> | unknown[];

/** As RFC 6902 has it. */
function applied(value: unknown, patch: readonly Difference[]): unknown {
  let result = structuredClone(value);
  for (const { op, path, value: next } of patch) {
    const steps = path.split('/').slice(1);
    const names = steps.map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'));
    const last = names.pop();
    if (last === undefined) {
      result = next;
      continue;
    }
    const holder = names.reduce((at: unknown, name) => (at as Record<string, unknown>)[name], result) as Container;
    if (!Array.isArray(holder)) {
      if (op === 'remove') Reflect.deleteProperty(holder, last);
      else Object.defineProperty(holder, last, { value: next, enumerable: true, configurable: true, writable: true });
    } else if (op === 'add') holder.splice(Number(last), 0, next);
    else if (op === 'remove') holder.splice(Number(last), 1);
    else holder[Number(last)] = next;
  }
  return result;
}

const anyJson = fc.jsonValue({ maxDepth: 3 });

it('makes one value of the other', () => {
  fc.assert(
    fc.property(anyJson, anyJson, (before, after) => {
      expect(canonicalJson(applied(before, differences(before, after)))).toBe(canonicalJson(after));
    }),
  );
});

it('says of equal values that they differ in nothing', () => {
  fc.assert(
    fc.property(anyJson, (value) => {
      expect(differences(value, structuredClone(value))).toEqual([]);
    }),
  );
});

it.each<[before: unknown, after: unknown, patch: Difference[]]>([
  [{ a: 1, b: 2 }, { a: 1, b: 3 }, [{ op: 'replace', path: '/b', value: 3, was: 2 }]],
  [
    { a: 1 },
    { b: 1 },
    [
      { op: 'remove', path: '/a', was: 1 },
      { op: 'add', path: '/b', value: 1 },
    ],
  ],
  [['a', 'b', 'c'], ['a', 'c'], [{ op: 'remove', path: '/1', was: 'b' }]],
  [['a', 'c'], ['a', 'b', 'c'], [{ op: 'add', path: '/1', value: 'b' }]],
  [
    { x: [{ w: 90 }, { w: 10 }] },
    { x: [{ w: 50 }, { w: 10 }] },
    [{ op: 'replace', path: '/x/0/w', value: 50, was: 90 }],
  ],
  [{ 'a/b': 1 }, {}, [{ op: 'remove', path: '/a~1b', was: 1 }]],
  [1, [1], [{ op: 'replace', path: '', value: [1], was: 1 }]],
])('tells %j from %j by as little as there is', (before, after, patch) => {
  expect(differences(before, after)).toEqual(patch);
});
