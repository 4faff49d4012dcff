/** `make demo`: opens a shop of five programs beside their sidecars, walks through what Sluice does, and cleans up. */
import type { Sluice } from '../../test/support/sluice.ts';
import { Narrator } from './narrator.ts';
import { openShop, startPrograms, type Shop } from './shop.ts';
import { walk } from './walk.ts';

const once = process.argv.includes('--once');

async function main(): Promise<number> {
  let sluice: Sluice | undefined;
  const tell = new Narrator(() => sluice?.rest);
  const interrupted = new Promise<'interrupted'>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      // Whoever asks twice means it: what is left then is killed without ceremony.
      process.once(signal, () => process.on(signal, () => process.exit(130)) && resolve('interrupted'));
    }
  });
  try {
    const shown = show(tell, (started) => (sluice = started));
    const end = await Promise.race([shown, interrupted]);
    if (end === 'interrupted') {
      // What it still tries fails now, and that is nobody's news.
      tell.hush();
      shown.catch(() => undefined);
      return 130;
    }
    if (!once) await interrupted;
    return end ? 0 : 1;
  } catch (error) {
    process.stderr.write(`\nThe demo cannot be shown: ${(error as Error).message}\n`);
    return 1;
  } finally {
    process.stdout.write('\nTaking everything down ...\n');
    await sluice?.[Symbol.asyncDispose]();
  }
}

/** Says whether every promise was kept. */
async function show(tell: Narrator, started: (sluice: Sluice) => void): Promise<boolean> {
  const begun = performance.now();
  tell.title('A control plane, and a shop of five programs, each beside its own sidecar.');
  const sluice = await openShop();
  started(sluice);
  tell.does('sluice server');
  tell.tells(`answers at ${sluice.url}`);
  const shop = await startPrograms(sluice);
  for (const { id, port, addresses, sidecar } of sluice.workloads) {
    const callers = addresses.inbound === null ? 'only calls' : `called at ${addresses.inbound}`;
    tell.tells(`${id.padEnd(14)}program at 127.0.0.1:${port}, ${callers}; sidecar is process ${sidecar.pid}`);
  }
  await walk(shop, tell);
  const seconds = ((performance.now() - begun) / 1_000).toFixed(0);
  tell.title(tell.allHeld ? `All of a to e held, in ${seconds} s.` : `Not all of a to e held; see the crosses above.`);
  if (!once) invite(shop, tell);
  return tell.allHeld;
}

function invite({ sluice, load, web }: Shop, tell: Narrator): void {
  tell.title('Everything stays up until Ctrl-C.');
  tell.tells(
    `Swagger UI     ${sluice.url}/docs   (the browser does not know this authority, and asks)`,
    `OpenAPI        ${sluice.url}/openapi.json`,
    `admin token    ${sluice.tokenFile}`,
    `trust anchors  ${sluice.trustAnchors}`,
  );
  tell.title('To try in another terminal:');
  tell.tells(
    `export SLUICE_HOME=${sluice.home} SLUICE_URL=${sluice.url}`,
    'bin/sluice get proxies',
    "bin/sluice get split shop/cart -o yaml | sed 's/weight: 0/weight: 50/' | bin/sluice apply -f - --wait 100%",
    `curl -X POST 'http://127.0.0.1:${load.port}/run?requests=1000'`,
    `curl http://${web.addresses.admin}/config`,
  );
}

// Not just an exit code: whatever still waits for something must not keep it waiting.
process.exit(await main());
