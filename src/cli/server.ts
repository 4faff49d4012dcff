/** `sluice server`: the one command that is no client, with what is done to the data of a server. Its flags are the settings. */
import type { Command } from 'commander';
import { SETTINGS, SettingsFaulty, readSettings } from '../settings.js';
import { CLIENT_VARIABLES, type Environment } from './client-settings.js';
import { EXIT } from './exit.js';
import { Failure } from './failure.js';
import { terminal } from './terminal.js';

type Flags = Readonly<Record<string, string | undefined>>;

/** Gives `command` a flag for every setting. */
export function addServerFlags(command: Command): void {
  for (const name of Object.keys(SETTINGS)) addServerFlag(command, name as keyof typeof SETTINGS);
}

export function addServerFlag(command: Command, name: keyof typeof SETTINGS): void {
  const { flag, env, byDefault, meaning } = SETTINGS[name];
  command.option(`${flag} <value>`, `${meaning} (${env}; default: ${byDefault})`);
}

/** Starts the server. `given` are the flags as commander names them. */
export async function serve(given: Flags, env: Environment): Promise<void> {
  const { main } = await import('../main.js');
  await main(readFlags(given, env), Object.values(CLIENT_VARIABLES));
}

/** Copies the data of a server, which may be running, into `file`. */
export async function backup(file: string, given: Flags, env: Environment): Promise<void> {
  const dataDir = readDataDir(given, env);
  const { backUp } = await import('../backup.js');
  const { revision, enrolments } = await copying(() => backUp(dataDir, file));
  terminal.out(`${file} holds revision ${revision} and ${enrolments} sidecars.\n`);
  terminal.talk(
    'It holds the private keys of the mesh as well: whoever reads it can be anybody there. Keep it as you keep those.',
  );
}

/** Makes a data directory of `file`. */
export async function restore(file: string, given: Flags, env: Environment): Promise<void> {
  const dataDir = readDataDir(given, env);
  const copies = await import('../backup.js');
  const { revision, enrolments, madeAt, trustDomain } = await copying(() => copies.restore(file, dataDir));
  terminal.out(`${dataDir} holds revision ${revision} and ${enrolments} sidecars, as of ${madeAt}.\n`);
  const isUsual = trustDomain === SETTINGS.trustDomain.byDefault;
  const domain = isUsual ? '' : ` ${SETTINGS.trustDomain.flag} ${trustDomain}`;
  terminal.talk(
    `Start it with "sluice server ${SETTINGS.dataDir.flag} ${dataDir}${domain}", and not beside the one that it is a copy of.`,
  );
  terminal.talk(
    'What was revoked, evicted or deleted after that time is good again: look through tokens, enrolments and policies.',
  );
}

async function copying<Result>(copy: () => Result | Promise<Result>): Promise<Result> {
  try {
    return await copy();
  } catch (error) {
    const { name, message, isBadFile } = error as Error & { readonly isBadFile?: boolean };
    if (name !== 'CopyRefused') throw error;
    throw new Failure(isBadFile ? EXIT.badInput : EXIT.failed, message);
  }
}

function readDataDir(given: Flags, env: Environment): string {
  try {
    return readSettings(readFlags(given, env), env, Object.values(CLIENT_VARIABLES)).dataDir;
  } catch (error) {
    if (!(error instanceof SettingsFaulty)) throw error;
    const [first = '', ...others] = error.message.split('\n');
    throw new Failure(EXIT.usage, first, others);
  }
}

/** Flags by the names of the settings. */
function readFlags(given: Flags, env: Environment): Record<string, string> {
  const flags: Record<string, string> = Object.fromEntries(
    Object.entries(SETTINGS).flatMap(([name, { flag }]) => {
      const value = given[camelCase(flag)];
      return value === undefined ? [] : [[name, value]];
    }),
  );
  // One variable moves both sides: what a server keeps, and where clients on its machine look for it.
  const home = env[CLIENT_VARIABLES.home];
  if (home && env[SETTINGS.dataDir.env] === undefined) flags['dataDir'] ??= home;
  return flags;
}

const camelCase = (flag: string): string =>
  flag.replace(/^--/, '').replaceAll(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
