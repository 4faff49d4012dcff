/** What two values of JSON differ in, as a patch that makes one of the other (RFC 6902), with what was there before for people. */
import { canonicalJson } from './canonical-json.js';
import { pointer } from './fault.js';

export interface Difference {
  readonly op: 'add' | 'remove' | 'replace';
  /** JSON pointer. */
  readonly path: string;
  /** What stands there afterwards; absent when something was removed. */
  readonly value?: unknown;
  /** What stood there before; absent when something was added. */
  readonly was?: unknown;
}

type Path = readonly (string | number)[];
type Json = Readonly<Record<string, unknown>>;

/** The patch that makes `after` of `before`, to be applied in its order. Empty when they are equal. */
export const differences = (before: unknown, after: unknown): Difference[] => [...between([], before, after)];

function* between(path: Path, before: unknown, after: unknown): Generator<Difference, void> {
  if (canonicalJson(before) === canonicalJson(after)) return;
  if (Array.isArray(before) && Array.isArray(after)) return yield* betweenLists(path, before, after);
  if (isObject(before) && isObject(after)) return yield* betweenObjects(path, before, after);
  yield { op: 'replace', path: pointer(...path), value: after, was: before };
}

function* betweenObjects(path: Path, before: Json, after: Json): Generator<Difference, void> {
  for (const name of [...new Set([...Object.keys(before), ...Object.keys(after)])].sort()) {
    const [was, value] = [before[name], after[name]];
    const at = [...path, name];
    if (value === undefined && was === undefined) continue;
    if (value === undefined) yield { op: 'remove', path: pointer(...at), was };
    else if (was === undefined) yield { op: 'add', path: pointer(...at), value };
    else yield* between(at, was, value);
  }
}

/** What is the same at both ends stays; in between, one goes for the other, and what is left over comes or goes. */
function* betweenLists(path: Path, before: readonly unknown[], after: readonly unknown[]): Generator<Difference, void> {
  const shorter = Math.min(before.length, after.length);
  const same = (a: number, b: number): boolean => canonicalJson(before[a]) === canonicalJson(after[b]);
  let head = 0;
  while (head < shorter && same(head, head)) head += 1;
  let tail = 0;
  while (tail < shorter - head && same(before.length - 1 - tail, after.length - 1 - tail)) tail += 1;
  const paired = shorter - tail;
  for (let at = head; at < paired; at += 1) yield* between([...path, at], before[at], after[at]);
  // From the end, so that no place moves before it is spoken of.
  for (let at = before.length - tail - 1; at >= paired; at -= 1) {
    yield { op: 'remove', path: pointer(...path, at), was: before[at] };
  }
  for (let at = paired; at < after.length - tail; at += 1) {
    yield { op: 'add', path: pointer(...path, at), value: after[at] };
  }
}

const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
