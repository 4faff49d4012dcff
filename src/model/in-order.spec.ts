/** That a list in pages is the list, whatever the pages. */
import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { anyMesh } from '../../test/support/arbitrary-mesh.js';
import { keyOf } from './document.js';
import { pageOf, type Wanted } from './in-order.js';
import type { Mesh } from './mesh.js';

/** The keys of all that is wanted, page by page. */
function inPages({ Workload }: Mesh, wanted: Omit<Wanted, 'after'>): string[] {
  const keys: string[] = [];
  let more = true;
  while (more) {
    const next = pageOf(Workload, { ...wanted, after: keys.at(-1) ?? '' });
    keys.push(...next.page.map(({ metadata }) => keyOf(metadata)));
    expect(next.page.length).toBeLessThanOrEqual(wanted.limit);
    ({ more } = next);
  }
  return keys;
}

const anyLimit = fc.integer({ min: 1, max: 5 });

it('gives every object of a namespace once, in order, in pages of any length', () => {
  fc.assert(
    fc.property(anyMesh, anyLimit, (mesh, limit) => {
      for (const namespace of ['nowhere', ...[...mesh.Workload.values()].map(({ metadata }) => metadata.namespace)]) {
        const there = [...mesh.Workload.keys()].filter((key) => key.startsWith(`${namespace}/`));
        expect(inPages(mesh, { namespace, limit })).toEqual(there.sort());
      }
    }),
  );
});

it('gives every object of the mesh that is selected, and none besides', () => {
  fc.assert(
    fc.property(anyMesh, anyLimit, (mesh, limit) => {
      const keys = [...mesh.Workload.keys()].sort();
      expect(inPages(mesh, { limit })).toEqual(keys);
      const odd = ({ metadata }: { metadata: { name: string } }) => metadata.name.length % 2 === 1;
      const selected = keys.filter((key) => (key.split('/')[1] ?? '').length % 2 === 1);
      expect(inPages(mesh, { limit, selects: odd })).toEqual(selected);
    }),
  );
});
