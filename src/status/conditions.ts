/** What has become of an object, in the conditions that Kubernetes users know. Pure. */
import type { Problem } from '../compile/problems.js';
import type { Receipt } from './receipt.js';

export const CONDITION_TYPES = ['Accepted', 'ResolvedRefs', 'Programmed'] as const;

export interface Condition {
  /** Accepted: nothing stands against it. ResolvedRefs: all that it names exists. Programmed: it has its effect at every proxy that it concerns. */
  readonly type: (typeof CONDITION_TYPES)[number];
  readonly status: 'True' | 'False';
  readonly reason: string;
  readonly message: string;
}

/** The conditions of an object with these problems, whose last revision has this receipt. */
export const conditionsOf = (problems: readonly Problem[], receipt: Receipt): Condition[] => [
  without(problems, 'Accepted', 'it is part of the mesh'),
  without(problems, 'ResolvedRefs', 'all that it names exists'),
  programmed(problems, receipt),
];

/** What holds unless a problem speaks against it. A problem that takes nothing from the effect is a warning. */
function without(problems: readonly Problem[], type: 'Accepted' | 'ResolvedRefs', message: string): Condition {
  const found = problems.filter(({ condition }) => condition === type);
  const [first] = found.filter(({ effect }) => effect !== 'Full');
  const said = found.map((problem) => problem.message).join('; ');
  if (first) return { type, status: 'False', reason: first.reason, message: said };
  return { type, status: 'True', reason: type, message: said === '' ? message : said };
}

/** How many refusals a condition quotes. */
const QUOTED = 5;

function programmed(problems: readonly Problem[], { sequence, affected, serving, laggards, why }: Receipt): Condition {
  const type = 'Programmed';
  const idle = problems.filter(({ effect }) => effect === 'None');
  if (idle.length > 0) {
    const reason = idle.find(({ condition }) => condition === 'Programmed')?.reason ?? 'NoEffect';
    return { type, status: 'False', reason, message: idle.map(({ message }) => message).join('; ') };
  }
  const [partly] = problems.filter(({ condition, effect }) => condition === type && effect === 'Partial');
  if (partly) return { type, status: 'False', reason: partly.reason, message: partly.message };
  const refused = laggards.filter(({ reason }) => reason === 'refused');
  if (refused.length > 0) {
    const quoted = refused.slice(0, QUOTED).map(({ proxy, detail }) => `${proxy}: ${detail}`);
    const more = refused.length > QUOTED ? ` and ${refused.length - QUOTED} more` : '';
    const message = `${quoted.join('; ')}${more}. What was there before stays in force on those`;
    return { type, status: 'False', reason: 'Refused', message };
  }
  return sequence !== undefined && serving === affected
    ? { type, status: 'True', reason: 'Programmed', message: why }
    : { type, status: 'False', reason: 'Pending', message: why };
}
