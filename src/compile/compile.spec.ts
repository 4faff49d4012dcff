/** Meshes in, snapshots out: the scenarios' goldens (`make golden` rewrites them), and what holds for every mesh. */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { anyChange, anyMesh, shuffled } from '../../test/support/arbitrary-mesh.js';
import { printSnapshot } from '../../test/support/print-snapshot.js';
import { scenarios } from '../../test/support/scenarios.js';
import { withChanges } from '../model/mesh.js';
import { compile } from './compile.js';
import { TYPES } from './resource.js';

describe.each(scenarios())('$name', ({ mesh, golden }) => {
  it('compiles to its golden snapshot', async () => {
    await expect(printSnapshot(compile(mesh))).toMatchFileSnapshot(golden);
  });
});

describe('compile', () => {
  it('gives the same bytes for the same mesh, in whatever order that was written', () => {
    fc.assert(
      fc.property(anyMesh, fc.integer(), (mesh, seed) => {
        expect(printSnapshot(compile(shuffled(mesh, seed)))).toBe(printSnapshot(compile(mesh)));
      }),
    );
  });

  it('gives the same with the snapshot before as without', () => {
    fc.assert(
      fc.property(anyMesh, fc.array(anyChange, { minLength: 1, maxLength: 5 }), (mesh, changes) => {
        let snapshot = compile(mesh);
        for (const { put, remove } of changes) {
          mesh = withChanges(mesh, put, remove);
          snapshot = compile(mesh, snapshot);
          expect(printSnapshot(snapshot)).toBe(printSnapshot(compile(mesh)));
        }
      }),
    );
  });

  it('makes nothing again that does not depend on the change', () => {
    const scenario = scenarios().find(({ name }) => name === 'canary-split');
    if (!scenario) throw new Error('no scenario canary-split');
    const { mesh } = scenario;
    const before = compile(mesh);
    const split = mesh.TrafficSplit.get('shop/cart');
    if (!split) throw new Error('no split shop/cart');
    const backends = split.spec.backends.map(({ service }) => ({ service, weight: 1 }));
    const after = compile(withChanges(mesh, [{ ...split, spec: { ...split.spec, backends } }]), before);
    const changed = [...after.resources].flatMap(([type, resources]) =>
      [...resources]
        .filter(([name, made]) => before.resources.get(type)?.get(name) !== made)
        .map(([name]) => `${type} ${name}`),
    );
    expect(changed).toEqual([`${TYPES.route} cart.shop:80`]);
  });

  it('never names a cluster without saying whom to trust there', () => {
    fc.assert(
      fc.property(anyMesh, (mesh) => {
        const { resources } = JSON.parse(printSnapshot(compile(mesh))) as { resources: { resource: Printed }[] };
        for (const { resource } of resources) {
          const context = resource.transport_socket?.typed_config.common_tls_context.validation_context;
          if (context) expect(context.match_typed_subject_alt_names.length).toBeGreaterThan(0);
        }
      }),
    );
  });
});

interface Printed {
  readonly transport_socket?: {
    readonly typed_config: {
      readonly common_tls_context: {
        readonly validation_context: { readonly match_typed_subject_alt_names: readonly unknown[] };
      };
    };
  };
}
