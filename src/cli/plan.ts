/** How a plan is shown: what would change in each object, of which others something else would be said, and whom it concerns. */
import { keyOf, type Ref } from '../model/document.js';

/** As REST gives it. */
export interface Plan {
  readonly hash: string;
  readonly changes: readonly {
    readonly ref: Ref;
    readonly action: string;
    readonly diff: readonly { readonly path: string; readonly value?: unknown; readonly was?: unknown }[];
  }[];
  readonly objects: readonly {
    readonly ref: Ref;
    readonly before: readonly Finding[];
    readonly after: readonly Finding[];
  }[];
  readonly affected: number;
  readonly proxies: readonly { readonly proxy: string; readonly state: string }[];
}

interface Finding {
  readonly condition: string;
  readonly reason: string;
  readonly message: string;
}

/** Proxies that a line names. */
const NAMED = 10;

export function printPlan({ hash, changes, objects, affected, proxies }: Plan): string {
  const lines = [
    ...changes.flatMap(({ ref, action, diff }) => [
      `${action === 'create' ? '+' : action === 'remove' ? '-' : '~'} ${nameOf(ref)}`,
      // Whole objects are in the files already.
      ...(action === 'replace'
        ? diff.map(({ path, value, was }) => `    ${path}: ${json(was)} -> ${json(value)}`)
        : []),
    ]),
    ...objects.flatMap(({ ref, before, after }) => [
      ...newly(before, after).map((finding) => `! ${nameOf(ref)}: ${print(finding)}`),
      ...newly(after, before).map((finding) => `  ${nameOf(ref)}, no longer: ${print(finding)}`),
    ]),
    concerned(affected, proxies),
    ...(changes.length > 0 ? [`to carry out just this: --plan ${hash}`] : []),
  ];
  return `${lines.join('\n')}\n`;
}

const nameOf = (ref: Ref): string => `${ref.kind} ${keyOf(ref)}`;

const json = (value: unknown): string => (value === undefined ? '(nothing)' : JSON.stringify(value));

const print = ({ condition, reason, message }: Finding): string => `${condition} (${reason}): ${message}`;

/** Those of `after` that were not there before. */
const newly = (before: readonly Finding[], after: readonly Finding[]): Finding[] =>
  after.filter((finding) => !before.some((one) => print(one) === print(finding)));

function concerned(affected: number, proxies: Plan['proxies']): string {
  if (affected === 0) return 'it concerns no proxy';
  const names = proxies
    .slice(0, NAMED)
    .map(({ proxy, state }) => (state === 'connected' ? proxy : `${proxy} (${state})`));
  const more = affected > names.length ? ` and ${affected - names.length} more` : '';
  return `it concerns ${affected === 1 ? 'one proxy' : `${affected} proxies`}: ${names.join(', ')}${more}`;
}
