/** Meshes in, snapshots out: the scenarios' goldens (`make golden` rewrites them), and what holds for every mesh. */
import { describe, expect, it } from 'vitest';
import { printSnapshot } from '../../test/support/print-snapshot.js';
import { scenarios } from '../../test/support/scenarios.js';
import { compile } from './compile.js';

describe.each(scenarios())('$name', ({ mesh, golden }) => {
  it('compiles to its golden snapshot', async () => {
    await expect(printSnapshot(compile(mesh))).toMatchFileSnapshot(golden);
  });
});
