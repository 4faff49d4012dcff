/** That a list in pages is the list, whatever the pages. */
import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { anyMesh } from '../../test/support/arbitrary-mesh.js';
import { pageOf } from './in-order.js';

it('gives every object of a namespace once, in order, in pages of any length', () => {
  fc.assert(
    fc.property(anyMesh, fc.integer({ min: 1, max: 5 }), ({ Workload }, limit) => {
      for (const namespace of ['nowhere', ...[...Workload.values()].map(({ metadata }) => metadata.namespace)]) {
        const names: string[] = [];
        let more = true;
        while (more) {
          const next = pageOf(Workload, namespace, names.at(-1) ?? '', limit);
          names.push(...next.page.map(({ metadata }) => metadata.name));
          expect(next.page.length).toBeLessThanOrEqual(limit);
          ({ more } = next);
        }
        const there = [...Workload.values()].filter(({ metadata }) => metadata.namespace === namespace);
        expect(names).toEqual(there.map(({ metadata }) => metadata.name).sort());
      }
    }),
  );
});
