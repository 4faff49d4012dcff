/** That a service which is changed takes from nobody what a policy protects, unless somebody says so. */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { anyMesh, crowded } from '../../test/support/arbitrary-mesh.js';
import { aPolicy, aService, aWorkload, TRUST_DOMAIN } from '../../test/support/mesh-documents.js';
import { hasSidecar } from '../compile/resolve.js';
import { protection } from '../model/authorization-policy.js';
import { printRef, refOf, type Document, type Draft } from '../model/document.js';
import { meshOf, withChanges, type Mesh } from '../model/mesh.js';
import { MeshError } from '../model/mesh-error.js';
import { SERVICE_LABEL, type Labels } from '../model/names.js';
import { planChanges, type Wish } from './plan.js';

const plan = (mesh: Mesh, wish: Wish) => planChanges(mesh, wish, 9, '2026-01-01T00:00:00.000Z');

const draftOf = ({ kind, metadata: { namespace, name, labels, annotations, origin }, spec }: Document): Draft => ({
  ...{ kind, namespace, name, labels, annotations, origin, spec },
});

const cart = aService('cart', { selector: { app: 'cart' } });
const selecting = (selector: Labels, ...ports: number[]): Draft => ({
  ...draftOf(cart),
  spec: { selector, ports: (ports.length > 0 ? ports : [80]).map((port) => ({ port, protocol: 'HTTP' })) },
});
const policy = aPolicy('p', { target: { service: 'cart' } });
const [v1, v2] = ['v1', 'v2'].map((version) => aWorkload(`cart-${version}`, { labels: { app: 'cart', version } }));
const narrower = selecting({ app: 'cart', version: 'v2' });

describe('a service that is changed', () => {
  const mesh = meshOf(
    TRUST_DOMAIN,
    [cart, policy, v1, v2].flatMap((one) => one ?? []),
  );
  const rows: [string, Mesh, Wish, 'made' | 'refused'][] = [
    ['so that a workload loses a policy: refused', mesh, { put: [narrower] }, 'refused'],
    [
      'so that it chooses by its name again: refused',
      mesh,
      { put: [selecting({ [SERVICE_LABEL]: 'cart' })] },
      'refused',
    ],
    ['by force: made', mesh, { put: [narrower], force: true }, 'made'],
    ['so that it leads to more: made', mesh, { put: [selecting({ app: 'cart' }, 80, 81)] }, 'made'],
    [
      'with a policy that says itself whom it protects: made',
      mesh,
      { put: [narrower, draftOf(aPolicy('p', { target: { labels: { app: 'cart' } } }))] },
      'made',
    ],
    [
      'with a policy that says something else for it: refused',
      mesh,
      { put: [narrower, draftOf(aPolicy('p', { target: { service: 'cart' }, action: 'Deny' }))] },
      'refused',
    ],
    [
      'when the policy for it decides nothing: made',
      meshOf(TRUST_DOMAIN, [cart, aPolicy('p', { target: { service: 'cart' }, mode: 'Audit' }), ...(v1 ? [v1] : [])]),
      { put: [narrower] },
      'made',
    ],
    [
      'when nobody enforces the policy there: made',
      meshOf(TRUST_DOMAIN, [cart, policy, aWorkload('by-hand', { labels: { app: 'cart' }, bare: true })]),
      { put: [narrower] },
      'made',
    ],
    [
      'that was deleted by force and comes back for fewer: refused',
      withChanges(mesh, plan(mesh, { remove: [refOf(cart)], force: true })),
      { put: [narrower] },
      'refused',
    ],
    [
      'that was deleted by force and comes back as it was: made',
      withChanges(mesh, plan(mesh, { remove: [refOf(cart)], force: true })),
      { put: [draftOf(cart)] },
      'made',
    ],
    [
      'that is new, where a policy had to guess who is meant: made',
      meshOf(TRUST_DOMAIN, [policy, aWorkload('vault', { labels: { app: 'vault' } })]),
      { put: [draftOf(cart)] },
      'made',
    ],
  ];
  it.each(rows)('%s', (_, before, wish, outcome) => {
    if (outcome === 'made') expect(plan(before, wish)).not.toEqual([]);
    else expect(() => plan(before, wish)).toThrow(MeshError);
  });

  it('is refused with what it would take, and says so in the revision when it is forced', () => {
    expect(() => plan(mesh, { put: [narrower] })).toThrow(
      'Service shop/cart would not lead to Workload shop/cart-v1 any more, which so loses the protection of' +
        ' AuthorizationPolicy shop/p; have the policy say first what it protects, or force it',
    );
    expect(plan(mesh, { put: [narrower], force: true })).toMatchObject([{ ref: refOf(cart), forced: [refOf(policy)] }]);
  });

  it('leaves everybody who stays the policies that they have, or is refused', () => {
    const outcomes = { made: 0, refused: 0 };
    fc.assert(
      fc.property(anyMesh.map(crowded).map(guarded), (mesh) => {
        const selectors = [...mesh.Workload.values()].map(({ metadata: { labels } }) => labels);
        for (const service of mesh.Service.values()) {
          for (const selector of selectors.filter((labels) => Object.keys(labels).length > 0)) {
            const changes = planned(mesh, { put: [{ ...draftOf(service), spec: { ...service.spec, selector } }] });
            outcomes[changes ? 'made' : 'refused'] += 1;
            if (changes) expect(lost(mesh, withChanges(mesh, changes))).toEqual([]);
          }
        }
      }),
      { numRuns: 2_000 },
    );
    expect(Math.min(outcomes.made, outcomes.refused), JSON.stringify(outcomes)).toBeGreaterThan(20);
  });
});

/** The same, with a policy for each service. */
const guarded = (mesh: Mesh): Mesh =>
  withChanges(
    mesh,
    [...mesh.Service.values()]
      .map(({ metadata: { name } }) => aPolicy(`for-${name}`, { target: { service: name } }))
      .map((after) => ({ ref: refOf(after), after })),
  );

/** What `wish` comes to; undefined when it is refused. */
function planned(mesh: Mesh, wish: Wish) {
  try {
    return plan(mesh, wish);
  } catch (error) {
    if (error instanceof MeshError && error.code === 'conflict') return undefined;
    throw error;
  }
}

/** Who has lost which policy, of those who have a sidecar and are meant by it. */
function lost(before: Mesh, now: Mesh): string[] {
  const meant = (mesh: Mesh): string[] =>
    [...mesh.AuthorizationPolicy.values()]
      .filter(({ spec }) => spec.mode === 'Enforce')
      .flatMap((one) =>
        [...mesh.Workload.values()]
          .filter(
            (workload) => hasSidecar(workload) && protection(one, workload, [...mesh.Service.values()]) === 'Whole',
          )
          .map((workload) => `${printRef(refOf(one))} protects ${printRef(refOf(workload))}`),
      );
  const is = new Set(meant(now));
  return meant(before).filter((one) => !is.has(one));
}
