/** Which objects selectors select, and what is no selector. */
import { describe, expect, it } from 'vitest';
import type { Document } from '../model/document.js';
import { readFieldSelector, readLabelSelector, type Selector } from './selection.js';

const document: Document = {
  kind: 'TrafficSplit',
  metadata: {
    name: 'cart',
    namespace: 'shop',
    labels: { team: 'checkout', 'example.com/tier': 'web', empty: '' },
    annotations: {},
    origin: 'rest',
    revision: 7,
    createdAt: '',
    updatedAt: '',
  },
  spec: { service: 'cart', backends: [{ service: 'cart-v1', weight: 1 }] },
};

const outcome = (selector: Selector): unknown => ('selects' in selector ? selector.selects(document) : selector.fault);

describe('a label selector', () => {
  it.each([
    ['team=checkout', true],
    ['team==checkout', true],
    ['team=other', false],
    ['team!=other', true],
    ['team!=checkout', false],
    ['none!=checkout', true],
    ['team', true],
    ['none', false],
    ['!none', true],
    ['! team', false],
    ['empty=', true],
    ['none=', false],
    ['team in (billing, checkout)', true],
    ['team notin (billing,checkout)', false],
    ['none notin (a)', true],
    ['empty in ()', true],
    ['example.com/tier=web, team=checkout', true],
    ['team=checkout,!team', false],
    ['toString', false],
    ['', '"" is no requirement'],
    ['team=checkout,', '"" is no requirement'],
    ['team=check out', '"team=check out" is no requirement'],
    ['team in checkout', '"team in checkout" is no requirement'],
    ['team>3', '"team>3" is no requirement'],
    ['x'.repeat(1_001), 'it must have at most 1000 characters'],
    [Array.from({ length: 51 }, () => 'a').join(','), 'it must have at most 50 requirements'],
  ])('%s: %s', (text, expected) => expect(outcome(readLabelSelector(text))).toBe(expected));
});

describe('a field selector', () => {
  it.each([
    ['metadata.name=cart', true],
    ['metadata.namespace!=shop', false],
    ['spec.service==cart,metadata.revision=7', true],
    ['spec.backends=cart', false],
    ['spec.none!=cart', true],
    ['spec.constructor.name=Object', false],
    ['status.conditions=x', '"status.conditions=x" is no requirement'],
    ['spec.service', '"spec.service" is no requirement'],
  ])('%s: %s', (text, expected) => expect(outcome(readFieldSelector(text))).toBe(expected));
});
