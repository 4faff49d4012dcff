/** That nothing which goes away, is missing or is misspelt lets anybody in who was not let in before. */
import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { anyMesh, crowded } from '../../test/support/arbitrary-mesh.js';
import { aPolicy, aService, aWorkload, TRUST_DOMAIN } from '../../test/support/mesh-documents.js';
import { admissions, carryingBytes, type Attempt } from '../../test/support/verdicts.js';
import { refOf, type Document } from '../model/document.js';
import { meshOf, withChanges, type Mesh } from '../model/mesh.js';
import { planChanges, type Wish } from './plan.js';

const after = (mesh: Mesh, wish: Wish): Mesh =>
  withChanges(mesh, planChanges(mesh, wish, 9, '2026-01-01T00:00:00.000Z'));

const IDENTITIES = ['shop/sa/cart', 'shop/sa/web', 'front/sa/job'].map((tail) => `spiffe://sluice.local/ns/${tail}`);
const attempts: readonly Attempt[] = [undefined, ...IDENTITIES].flatMap((identity) =>
  ['10.0.0.7', '203.0.113.9'].flatMap((address) =>
    ['GET', 'POST'].flatMap((method) =>
      ['/', '/items/7', '/else'].map((path) => ({
        address,
        method,
        path,
        ...(identity !== undefined && { identity }),
      })),
    ),
  ),
);

/**
 * Without the service by whose word bytes passed at a port, requests come in there, and what its policies say of those holds: that
 * is another door, and not one that is wider.
 */
const widened = (before: Mesh, now: Mesh): string[] => {
  const [was, hadBytes, hasBytes] = [admissions(before, attempts), carryingBytes(before), carryingBytes(now)];
  const isTheSameDoor = (admission: string): boolean => {
    const [door = ''] = admission.split(' ');
    return hadBytes.has(door) === hasBytes.has(door);
  };
  return [...admissions(now, attempts)].filter((one) => !was.has(one) && isTheSameDoor(one));
};

it('no service that is deleted, though policies are for it, lets anybody in', () => {
  fc.assert(
    fc.property(anyMesh.map(crowded), (mesh) => {
      for (const service of mesh.Service.values()) {
        expect(widened(mesh, after(mesh, { remove: [refOf(service)], force: true }))).toEqual([]);
      }
    }),
    { numRuns: 400 },
  );
});

it('no policy for a service that there is not lets anybody in to what does not call itself part of it', () => {
  fc.assert(
    fc.property(anyMesh.map(crowded), (mesh) => {
      for (const policy of mesh.AuthorizationPolicy.values()) {
        if (!('service' in policy.spec.target)) continue;
        const without = after(mesh, { remove: [refOf(policy)] });
        const spec = { ...policy.spec, target: { service: 'siet' } };
        const { labels, annotations, origin } = policy.metadata;
        const misspelt = { ...refOf(policy), kind: policy.kind, labels, annotations, origin, spec };
        expect(widened(without, after(without, { put: [misspelt] }))).toEqual([]);
      }
    }),
    { numRuns: 400 },
  );
});

it('a workload behind no service stays closed to whom a misspelt policy would let in', () => {
  const vault = aWorkload('vault', { labels: { app: 'vault' } });
  const documents: Document[] = [
    aService('cart'),
    vault,
    aPolicy('vault-admin', {
      target: { labels: { app: 'vault' } },
      rules: [{ from: [{ identity: IDENTITIES[1] ?? '' }] }],
    }),
  ];
  const mesh = meshOf(TRUST_DOMAIN, documents);
  const typo = aPolicy('site', { target: { service: 'siet' }, rules: [{ from: [{ anyone: 'Everyone' }] }] });
  expect(admissions(mesh, attempts).size).toBeGreaterThan(0);
  expect(widened(mesh, meshOf(TRUST_DOMAIN, [...documents, typo]))).toEqual([]);
});
