/** Which objects of a list somebody wants: selectors over labels and fields, in the words of Kubernetes. */
import type { Document } from '../model/document.js';

export type Selects = (document: Document) => boolean;

/** What came of reading a selector: what it selects by, or what is wrong with it. */
export type Selector = { readonly selects: Selects } | { readonly fault: string };

/** How long a selector may be, and of how many requirements. */
const MAX_LENGTH = 1_000;
const MAX_TERMS = 50;

const LABEL = `[A-Za-z0-9](?:[A-Za-z0-9._/-]*[A-Za-z0-9])?`;
const VALUE = `[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?`;

/** `team=checkout,tier in (web,api),!legacy`: all of these have to hold. An empty value is that of a label without one. */
export const readLabelSelector = (text: string): Selector =>
  all(text, splitTerms(text), (term) => {
    const [, not, presence] = new RegExp(`^(!?)\\s*(${LABEL})$`).exec(term) ?? [];
    if (presence !== undefined) return ({ metadata: { labels } }) => Object.hasOwn(labels, presence) === (not === '');
    const [, equal, sign, wanted = ''] = new RegExp(`^(${LABEL})\\s*(==?|!=)\\s*(${VALUE})?$`).exec(term) ?? [];
    if (equal !== undefined) return isOneOf(equal, [wanted], sign !== '!=');
    const [, set, word, values] = new RegExp(`^(${LABEL})\\s+(in|notin)\\s*\\(([^()]*)\\)$`).exec(term) ?? [];
    const listed = values?.split(',').map((value) => value.trim());
    if (set === undefined || !listed?.every((value) => new RegExp(`^(${VALUE})?$`).test(value))) return undefined;
    return isOneOf(set, listed, word === 'in');
  });

/** As in Kubernetes: an object without the label does not have that value. */
const isOneOf =
  (label: string, values: readonly string[], yes: boolean): Selects =>
  ({ metadata: { labels } }) =>
    (Object.hasOwn(labels, label) && values.includes(labels[label] ?? '')) === yes;

/** `metadata.namespace=shop,spec.service!=cart`: fields that hold a text, a number or a truth value, by their path. */
export const readFieldSelector = (text: string): Selector =>
  all(text, text.split(','), (term) => {
    const [, path, sign, wanted = ''] = /^\s*((?:metadata|spec)(?:\.\w+)+)\s*(==?|!=)\s*(\S*)\s*$/.exec(term) ?? [];
    if (path === undefined) return undefined;
    const steps = path.split('.');
    return (document) => (valueAt(document, steps) === wanted) === (sign !== '!=');
  });

/** What a field holds, as a selector writes it. */
function valueAt(document: Document, steps: readonly string[]): string | undefined {
  let value: unknown = document;
  for (const step of steps) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, step)) return undefined;
    value = (value as Record<string, unknown>)[step];
  }
  return ['string', 'number', 'boolean'].includes(typeof value) ? String(value) : undefined;
}

/** A comma between parentheses parts values and not requirements. */
const splitTerms = (text: string): string[] => text.split(/,(?![^()]*\))/);

function all(text: string, terms: readonly string[], read: (term: string) => Selects | undefined): Selector {
  if (text.length > MAX_LENGTH) return { fault: `it must have at most ${MAX_LENGTH} characters` };
  if (terms.length > MAX_TERMS) return { fault: `it must have at most ${MAX_TERMS} requirements` };
  const requirements: Selects[] = [];
  for (const term of terms) {
    const requirement = read(term.trim());
    if (!requirement) return { fault: `"${term.trim().slice(0, 100)}" is no requirement` };
    requirements.push(requirement);
  }
  return { selects: (document) => requirements.every((selects) => selects(document)) };
}
