/** Meshes in, snapshots out: the scenarios' goldens (`make golden` rewrites them), and what holds for every mesh. */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { anyMesh, shuffled } from '../../test/support/arbitrary-mesh.js';
import { printSnapshot } from '../../test/support/print-snapshot.js';
import { scenarios } from '../../test/support/scenarios.js';
import { compile } from './compile.js';

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
