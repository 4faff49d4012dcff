/** What has become of an object, in the conditions that Kubernetes users know. Pure. */
import type { Snapshot } from '../compile/compile.js';
import { keyOf, type Document, type Ref } from '../model/document.js';
import type { Refusal } from './delta.js';
import type { Proxy } from './proxy.js';
import { receiptOf } from './receipt.js';

export const CONDITION_TYPES = ['Accepted', 'ResolvedRefs', 'Programmed'] as const;

export interface Condition {
  /** Accepted: nothing stands against it. ResolvedRefs: all that it names exists. Programmed: every proxy serves it. */
  readonly type: (typeof CONDITION_TYPES)[number];
  readonly status: 'True' | 'False';
  readonly reason: string;
  readonly message: string;
}

/** The conditions of `document`, whose mesh compiled to `snapshot`, among the proxies of `fleet`. */
export function conditionsOf(document: Document, snapshot: Snapshot, fleet: readonly Proxy[]): Condition[] {
  const ref: Ref = { kind: document.kind, ...document.metadata };
  const problemOf = (type: 'Accepted' | 'ResolvedRefs'): Condition | undefined => {
    const found = snapshot.problems.filter(
      (problem) => problem.condition === type && problem.effect !== 'Full' && isSame(problem.ref, ref),
    );
    const [first] = found;
    return (
      first && { type, status: 'False', reason: first.reason, message: found.map(({ message }) => message).join('; ') }
    );
  };
  return [
    problemOf('Accepted') ?? {
      type: 'Accepted',
      status: 'True',
      reason: 'Accepted',
      message: 'it is part of the mesh',
    },
    problemOf('ResolvedRefs') ?? {
      type: 'ResolvedRefs',
      status: 'True',
      reason: 'ResolvedRefs',
      message: 'all that it names exists',
    },
    programmed(document.metadata.revision, refusalsOf(ref, snapshot, fleet), fleet),
  ];
}

function programmed(revision: number, refusals: readonly string[], fleet: readonly Proxy[]): Condition {
  const type = 'Programmed';
  const { proxies, serving } = receiptOf(revision, fleet);
  const count = `${serving} of ${proxies} proxies serve revision ${revision}`;
  if (refusals.length > 0) {
    const message = `${refusals.join('; ')}. What was there before stays in force on those`;
    return { type, status: 'False', reason: 'Refused', message };
  }
  return serving === proxies
    ? { type, status: 'True', reason: 'Programmed', message: count }
    : { type, status: 'False', reason: 'Pending', message: count };
}

/** Who refused what was made of the object, and why; one sentence each. */
const refusalsOf = (ref: Ref, snapshot: Snapshot, fleet: readonly Proxy[]): string[] =>
  fleet.flatMap(({ id, refusals }) =>
    refusals
      .filter((refusal) => causesOf(refusal, snapshot).some((cause) => isSame(cause, ref)))
      .map(({ name, reason }) => `${id} refused ${name}: ${reason}`),
  );

/** The objects that a refused resource was made from, as long as it is still what the mesh compiles to. */
function causesOf({ type, name, version }: Refusal, { resources }: Snapshot): readonly Ref[] {
  const resource = resources.get(type)?.get(name);
  return resource?.version === version ? resource.causes : [];
}

const isSame = (a: Ref, b: Ref): boolean => a.kind === b.kind && keyOf(a) === keyOf(b);
