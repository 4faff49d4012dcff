/** `sluice server`: the one command that is not a client. Its flags are the settings of the server. */
import type { Command } from 'commander';
import { SETTINGS } from '../settings.js';
import { CLIENT_VARIABLES, type Environment } from './client-settings.js';

/** Gives `command` a flag for every setting. */
export function addServerFlags(command: Command): void {
  for (const { flag, env, byDefault, meaning } of Object.values(SETTINGS)) {
    command.option(`${flag} <value>`, `${meaning} (${env}; default: ${byDefault})`);
  }
}

/** Starts the server. `given` are the flags as commander names them. */
export async function serve(given: Readonly<Record<string, string | undefined>>, env: Environment): Promise<void> {
  const flags = Object.fromEntries(
    Object.entries(SETTINGS).flatMap(([name, { flag }]) => {
      const value = given[camelCase(flag)];
      return value === undefined ? [] : [[name, value]];
    }),
  );
  // One variable moves both sides: what a server keeps, and where clients on its machine look for it.
  const home = env[CLIENT_VARIABLES.home];
  if (home && env[SETTINGS.dataDir.env] === undefined) flags.dataDir ??= home;
  const { main } = await import('../main.js');
  await main(flags, Object.values(CLIENT_VARIABLES));
}

const camelCase = (flag: string): string =>
  flag.replace(/^--/, '').replaceAll(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
