/** That lists of policies are one where they are the same, and are kept for nobody. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, it } from 'vitest';
import { aPolicy } from '../../test/support/mesh-documents.js';
import { Alike } from './alike.js';

/** Collects garbage: a test runner need not have been started with that flag. */
async function collect(): Promise<void> {
  setFlagsFromString('--expose-gc');
  // What was looked at in this turn is kept until it is over.
  await new Promise(setImmediate);
  (runInNewContext('gc') as () => void)();
}

const policies = (count: number) => Array.from({ length: count }, (_, at) => aPolicy(`p${at}`));

it('is one list for the same policies, in whatever order, and another for others', () => {
  const [alike, [a, b, c]] = [new Alike(), policies(3) as [Policy, Policy, Policy]];
  expect(alike.of([a, b])).toBe(alike.of([b, a]));
  expect(alike.of([a, b])).toEqual([a, b]);
  expect(alike.of([a, c])).not.toBe(alike.of([a, b]));
});

it('keeps no list that nobody else has, and each that somebody has', async () => {
  const [alike, all] = [new Alike(), policies(3_000)];
  const held = alike.of(all.slice(0, 2));
  const others = all.map((policy) => new WeakRef(alike.of([policy])));
  await collect();
  expect(others.filter((list) => list.deref())).toEqual([]);
  expect(alike.of(all.slice(0, 2))).toBe(held);
});

type Policy = ReturnType<typeof aPolicy>;
