/** Whatever writers, sidecars and the network may do to a small mesh: few names, so that what happens meets. */
import * as fc from 'fast-check';
import { inboundName } from '../../src/compile/resource-names.js';
import { TYPE_ORDER } from '../../src/compile/resource.js';
import type { Document } from '../../src/model/document.js';
import { LOST_MODES, type Target } from '../../src/status/receipt.js';
import { anyEdit, type Edit } from './arbitrary-mesh.js';
import { aPolicy, aService, aSplit, aWorkload, putting, removing } from './model-documents.js';
import { LEASE_MS } from './model-plane.js';

/** Workloads of the sidecars that there are. */
export const SIDECARS = ['shop/web', 'shop/cart', 'front/job'];
/** What they may ask for; a listener of another's is none of their business. */
export const NAMES = ['cart.shop:80', 'v1.shop:80', 'v2.shop:80', ...SIDECARS.map((id) => inboundName(id, 9_000))];

const cart = aService('cart');
const [v1, v2] = [aSplit('cart', 'cart', { v1: 1 }), aSplit('cart', 'cart', { v2: 1 })];
const policy = aPolicy('cart', 'cart');
/** What is written of each object: so few variants that it comes back to what it was. */
const WISHES: readonly Document[] = [
  ...[cart, aService('v1'), aService('v2', 80, 8080), aService('v2')],
  ...[v1, v2, aSplit('cart', 'cart', { v1: 1, v2: 1 })],
  ...[policy, aPolicy('cart', 'cart', 'front')],
];
const FACTS: readonly Document[] = [
  ...[aWorkload('cart'), aWorkload('cart', '10.0.0.9'), aWorkload('web')],
  ...[aWorkload('one', '10.0.0.1', 'v1'), aWorkload('one', '10.0.0.2', 'v1'), aWorkload('two', '10.0.0.3', 'v2')],
];
/** The mesh that it begins with. */
export const FIRST_WISHES = putting(cart, aService('v1'), aService('v2'), v1, policy);
export const FIRST_FACTS = putting(aWorkload('cart'), aWorkload('web'), aWorkload('one', '10.0.0.1', 'v1'));

/** Most that is written is of the few objects above, now and then it is anything. */
const editOf = (documents: readonly Document[]): fc.Arbitrary<Edit> => {
  const document = fc.constantFrom(...documents);
  return fc.oneof(
    { weight: 6, arbitrary: document.map((one) => putting(one)) },
    { weight: 2, arbitrary: document.map((one) => removing(one)) },
    { weight: 1, arbitrary: fc.tuple(document, document).map(([a, b]) => ({ ...removing(a), ...{ put: [b] } })) },
    { weight: 1, arbitrary: anyEdit },
  );
};
const wish = editOf(WISHES);
const fact = editOf(FACTS);

/** Which versions a sidecar finds hard to swallow, by how they end. */
const TASTES = [/^$/, /^$/, /[0-3]$/, /[4-9]$/];

/** What a sidecar would not give up, if it is to. */
const CLINGING = [/^$/, /^$/, /^$/, /^inbound/, /^cart/];

const TARGETS: readonly Target[] = [
  ...[100, 100, 100, 50].map((percent) => ({ percent })),
  { proxies: 1 },
  { proxies: 2 },
];

const who = fc.nat(SIDECARS.length - 1);
const at = fc.record({ who, index: fc.nat(3) });
const ask = fc.record({ who, type: fc.constantFrom(...TYPE_ORDER), add: fc.subarray(NAMES), drop: fc.subarray(NAMES) });
const wait = fc.record({
  back: fc.nat(5),
  lost: fc.constantFrom(...LOST_MODES),
  target: fc.constantFrom(...TARGETS),
});

/** A change and what takes it back. */
const changes = fc.constantFrom(
  { change: putting(v2), back: putting(v1) },
  { change: removing(cart), back: putting(cart) },
  { change: putting(aPolicy('cart', 'cart', 'front')), back: putting(policy) },
);

/** What may happen, and how often, beside the others. */
const KINDS = {
  write: [6, wish],
  report: [2, fact],
  /** Many at once. */
  burst: [1, fc.array(wish, { minLength: 2, maxLength: 3 })],
  /** What was changed is taken back while a sidecar has put the change in force and has not said so, and its link may die. */
  takeBack: [2, fc.record({ who, of: changes, cut: fc.boolean() })],
  ask: [3, ask],
  /** Puts in force what it was told, and does not say so. */
  swap: [5, at],
  answer: [10, at],
  /** Its link dies, maybe after it has put in force all that it was told. */
  cut: [2, fc.record({ who, swaps: fc.boolean() })],
  /** All links die. */
  partition: [0.5, fc.constant(true)],
  connect: [3, who],
  /** Opens its stream, and says one after the other what it wants. */
  open: [2, who],
  introduce: [5, who],
  /** Is away for longer than its lease. */
  lose: [0.5, who],
  evict: [0.3, who],
  /** Joins anew, and its old self is turned out. */
  replace: [0.5, who],
  taste: [2, fc.record({ who, refuses: fc.constantFrom(...TASTES), clings: fc.constantFrom(...CLINGING) })],
  wait: [5, wait],
  slice: [8, fc.constant(true)],
  rest: [1, fc.constant(true)],
  pass: [4, fc.constantFrom(0, 1, 12, 60, LEASE_MS / 2)],
} as const;

type Kinds = typeof KINDS;
export type Step = {
  [Kind in keyof Kinds]: {
    readonly kind: Kind;
    readonly of: Kinds[Kind][1] extends fc.Arbitrary<infer Of> ? Of : never;
  };
}[keyof Kinds];

export const anyStep = fc.oneof(
  ...Object.entries(KINDS).map(([kind, [weight, arbitrary]]) => ({
    weight: weight * 10,
    arbitrary: (arbitrary as fc.Arbitrary<unknown>).map((of) => ({ kind, of }) as Step),
  })),
);
