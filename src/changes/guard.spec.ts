/** What stands against a deletion, and that none makes less protected what was protected before. */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { anyMesh, crowded } from '../../test/support/arbitrary-mesh.js';
import { aPolicy, aService, aSplit, TRUST_DOMAIN } from '../../test/support/mesh-documents.js';
import { protection as protectionOf, type AuthorizationPolicy } from '../model/authorization-policy.js';
import { printRef, refOf, type Document, type Marks, type Ref } from '../model/document.js';
import { referencesOf } from '../model/kinds.js';
import { documentsOf, guardsAgainst, meshOf, withChanges, type Mesh } from '../model/mesh.js';
import { SERVICE_LABEL } from '../model/names.js';
import type { Workload } from '../model/workload.js';
import { planChanges, type Wish } from './plan.js';

const plan = (mesh: Mesh, wish: Wish) => planChanges(mesh, wish, 9, '2026-01-01T00:00:00.000Z');

/** Which policies protect each workload. */
function protection(mesh: Mesh): Map<string, Set<string>> {
  const services = [...mesh.Service.values()];
  const of = (workload: Workload): Set<string> => {
    const near = services.filter(({ metadata }) => metadata.namespace === workload.metadata.namespace);
    const policies = [...mesh.AuthorizationPolicy.values()].filter((policy) => protectionOf(policy, workload, near));
    return new Set(policies.map((policy) => printRef(refOf(policy))));
  };
  return new Map([...mesh.Workload].map(([key, workload]) => [key, of(workload)]));
}

describe('a deletion', () => {
  const cart = aService('cart');
  const ref: Ref = refOf(cart);
  const rows: [string, Document[], Wish, string | undefined][] = [
    ['of what nobody names is made', [cart], { remove: [ref] }, undefined],
    [
      'of what a split names is refused',
      [cart, aSplit('s', 'cart', { other: 1 })],
      { remove: [ref] },
      'TrafficSplit shop/s',
    ],
    [
      'of what a split shares to is refused',
      [cart, aSplit('s', 'x', { cart: 1 })],
      { remove: [ref] },
      'TrafficSplit shop/s',
    ],
    [
      'of what goes with all that name it is made',
      [cart, aSplit('s', 'cart', { cart: 1 })],
      { remove: [ref, { kind: 'TrafficSplit', namespace: 'shop', name: 's' }] },
      undefined,
    ],
    [
      'of what a policy is for is refused',
      [cart, aPolicy('p', { target: { service: 'cart' } })],
      { remove: [ref] },
      'AuthorizationPolicy shop/p',
    ],
    [
      'that is forced is made',
      [cart, aPolicy('p', { target: { service: 'cart' } })],
      { remove: [ref], force: true },
      undefined,
    ],
  ];
  it.each(rows)('%s', (_, documents, wish, by) => {
    const made = () => plan(meshOf(TRUST_DOMAIN, documents), wish);
    if (by === undefined) expect(made().map((change) => printRef(change.ref))).toContain('Service shop/cart');
    else expect(made).toThrow(`Service shop/cart is named by ${by}`);
  });

  it('is refused by the same objects however the mesh came to be', () => {
    fc.assert(
      fc.property(anyMesh, anyMesh, (earlier, later) => {
        const remove = [...documentsOf(earlier)].map((document) => ({ ref: refOf(document) }));
        const put = [...documentsOf(later)].map((after) => ({ ref: refOf(after), after }));
        const changed = withChanges(earlier, [...remove, ...put]);
        const named = [...documentsOf(later)].flatMap((document) => referencesOf(document).map(({ ref: of }) => of));
        for (const of of [...named, ...remove.map((gone) => gone.ref)])
          expect(guardsAgainst(changed, of)).toEqual(guardsAgainst(later, of));
        expect(changed.guards.size).toBe(later.guards.size);
      }),
      { numRuns: 200 },
    );
  });

  it('that is forced stays remembered by the policy until it is for something else', () => {
    const policy = aPolicy('p', { target: { service: 'cart' } });
    const mesh = meshOf(TRUST_DOMAIN, [cart, policy]);
    const removed = withChanges(mesh, plan(mesh, { remove: [ref], force: true }));
    const again = (spec: AuthorizationPolicy['spec'], annotations: Marks['annotations'] = {}): unknown => {
      const { labels, origin } = policy.metadata;
      const [change] = plan(removed, {
        put: [{ ...refOf(policy), kind: policy.kind, labels, origin, annotations, spec }],
      });
      return change?.after?.metadata.protects;
    };
    const remembered = { [SERVICE_LABEL]: 'cart' };
    expect(again(policy.spec, { team: 'till' })).toEqual(remembered);
    expect(again({ ...policy.spec, mode: 'Audit' })).toEqual(remembered);
    expect(again({ ...policy.spec, target: { service: 'basket' } })).toBeUndefined();
    expect(again({ ...policy.spec, target: { labels: { app: 'cart' } } })).toBeUndefined();
  });

  it('that is forced never leaves a workload with less protection', () => {
    fc.assert(
      fc.property(anyMesh, (random) => {
        const mesh = crowded(random);
        const before = protection(mesh);
        for (const service of mesh.Service.values()) {
          const removed = withChanges(mesh, plan(mesh, { remove: [refOf(service)], force: true }));
          for (const [workload, policies] of protection(removed)) {
            expect([...(before.get(workload) ?? [])].filter((policy) => !policies.has(policy))).toEqual([]);
          }
        }
      }),
      { numRuns: 500 },
    );
  });
});
