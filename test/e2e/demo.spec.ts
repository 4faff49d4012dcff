/** The demo, as `make demo ONCE=1` runs it: a user's first ten minutes must not break. */
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { RunningProcess } from '../support/processes.ts';
import { ROOT } from '../support/sluice.ts';

const LIMIT_MS = 60_000;

it(
  'keeps all five promises within a minute, prints calls that can be pasted, and leaves nothing running',
  { timeout: 2 * LIMIT_MS },
  async () => {
    const start = performance.now();
    await using demo = new RunningProcess('demo', [process.execPath, join(ROOT, 'examples/demo/demo.ts'), '--once'], {
      env: { ...process.env, NO_COLOR: '1' },
    });
    const exit = await demo.exit;
    expect(demo.stdout.match(/^ {2}[✓✗] [a-e]/gm), demo.stdout + demo.stderr).toEqual(
      ['a', 'b', 'c', 'd', 'e'].map((letter) => `  ✓ ${letter}`),
    );
    expect(exit).toEqual({ code: 0, signal: null });
    expect(performance.now() - start).toBeLessThan(LIMIT_MS);

    expect(
      demo.stdout.match(/^ {2}\$ curl -sS --cacert \S+ -H @<\(echo "authorization: Bearer \$\(cat \S+\)"\)/gm)?.length,
    ).toBeGreaterThan(8);
    expect(demo.stdout).not.toMatch(/slc(api|join)_/);
    const sidecars = [...demo.stdout.matchAll(/sidecar is process (\d+)/g)].map(([, pid]) => Number(pid));
    expect(sidecars).toHaveLength(5);
    for (const pid of sidecars) expect(() => process.kill(pid, 0)).toThrow(/ESRCH/);
  },
);
