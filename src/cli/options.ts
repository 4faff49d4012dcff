/** Options that several commands have, and what they come to. */
import { Option, type Command } from 'commander';
import { DEFAULT_WAIT, LONGEST_WAIT } from '../model/wait.js';
import { readName, readTarget, readTimeout } from './arguments.js';
import {
  CLIENT_DEFAULTS,
  CLIENT_VARIABLES,
  readClientSettings,
  type ClientFlags,
  type ClientSettings,
  type Environment,
} from './client-settings.js';
import type { Format } from './output.js';
import { DEFAULT_NAMESPACE } from './resources.js';
import { Rest } from './rest.js';

export const namespaceOption = (meaning = `the namespace; by default "${DEFAULT_NAMESPACE}"`): Option =>
  new Option('-n, --namespace <name>', meaning).argParser(readName);

export const outputOption = (formats: readonly Format[]): Option =>
  new Option('-o, --output <format>', 'form of the data').choices(formats).default('table');

/** Whether proxies that are lost count as such that do not serve a revision. */
export const lostOption = (): Option =>
  new Option('--lost <mode>', 'whether lost proxies count among those to wait for; ignore if it is left out').choices([
    'ignore',
    'count',
  ]);

/** Gives `command` what every write takes. */
export function withChange(command: Command): void {
  command
    .option(
      '--wait <share>',
      'end only when this share of the proxies (100%), or this number (3), serves it',
      readTarget,
    )
    .option('--timeout <duration>', `how long to wait, up to ${LONGEST_WAIT}; by default ${DEFAULT_WAIT}`, readTimeout)
    .addOption(lostOption())
    .option('--comment <text>', 'why; kept with the revision')
    .addOption(outputOption(['table', 'json', 'yaml']));
}

type Action<Options, Args extends unknown[]> = (
  rest: Rest,
  settings: ClientSettings,
  options: Options,
  ...args: Args
) => Promise<void>;

/** Gives `command` the flags of a client, and `action` what they come to. */
export function withClient<Options extends object, Args extends unknown[]>(
  command: Command,
  env: Environment,
  action: Action<Options, Args>,
): void {
  command
    .optionsGroup('Control plane:')
    .option('--url <url>', `where it is (${CLIENT_VARIABLES.url}; default: ${CLIENT_DEFAULTS.url})`)
    .option(
      '--token-file <file>',
      `file with a token (${CLIENT_VARIABLES.tokenFile}; default: ${CLIENT_DEFAULTS.tokenFile})`,
    )
    .option(
      '--trust-anchors <file>',
      `what it is known by (${CLIENT_VARIABLES.trustAnchors}; default: ${CLIENT_DEFAULTS.trustAnchors})`,
    )
    .action(async (...given: unknown[]) => {
      // Commander hands over the arguments, the options and the command, in this order.
      const options = given.at(-2) as Options & ClientFlags;
      const settings = readClientSettings(options, env);
      await action(new Rest(settings), settings, options, ...(given.slice(0, -2) as Args));
    });
}
