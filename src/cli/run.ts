/** `sluice run`: gets a join token, and becomes the sidecar that starts the program and stays beside it. */
import { accessSync, constants, existsSync, mkdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { delimiter, join } from 'node:path';
import { CLIENT_VARIABLES, type ClientSettings, type Environment } from './client-settings.js';
import { EXIT } from './exit.js';
import { Failure } from './failure.js';
import type { Rest } from './rest.js';
import { planRun, type RunOptions, type RunPlan } from './run-plan.js';
import { terminal } from './terminal.js';
import { requestJoinToken } from './token.js';

const ROOT = join(import.meta.dirname, '..', '..');

/** Where the sidecar keeps the identity that it has. */
const IDENTITY_FILE = 'identity.json';

/** Does not return: this process goes on as the sidecar, with its id and its terminal, and no Node stays behind. */
export async function run(
  rest: Rest,
  settings: ClientSettings,
  options: RunOptions,
  command: readonly string[],
  env: Environment,
): Promise<never> {
  const plan = planRun({ options, command, settings, env, hostname: hostname() });
  if (!('stateDir' in plan)) throw new Failure(EXIT.usage, 'it cannot be run so:', plan);
  const [program] = command;
  if (program !== undefined && findExecutable(program, env) === undefined) {
    throw new Failure(EXIT.usage, `there is no program "${program}"`);
  }
  const binary = findProxy(env);
  mkdirSync(plan.stateDir, { recursive: true, mode: 0o700 });
  const hasToken = plan.request ? await fetchToken(rest, plan, plan.request) : true;
  const environment = { ...plan.environment, ...(hasToken && { SLUICE_JOIN_TOKEN_FILE: plan.joinTokenFile }) };
  process.execve?.(binary, ['sluice-proxy', ...plan.args], environment);
  throw new Failure(EXIT.failed, 'this Node cannot replace itself by another program; use Node 24 on Linux or macOS');
}

/** Puts a token where the sidecar finds it. Without a control plane there is none, and an earlier identity must do. */
async function fetchToken(rest: Rest, plan: RunPlan, request: NonNullable<RunPlan['request']>): Promise<boolean> {
  const { namespace, stateDir, joinTokenFile } = plan;
  try {
    const { token } = await requestJoinToken(rest, namespace, request);
    writePrivately(joinTokenFile, `${token}\n`);
    return true;
  } catch (error) {
    const canDoWithout = error instanceof Failure && error.exit === EXIT.unavailable;
    if (!canDoWithout || !existsSync(join(stateDir, IDENTITY_FILE))) throw error;
    // Left from a start that did not come to use it: it is old by now.
    rmSync(joinTokenFile, { force: true });
    terminal.talk(`sluice run: ${error.message}; starting with the identity of last time, from ${stateDir}`);
    return false;
  }
}

/** Puts a file in place whole, for its owner alone. */
function writePrivately(file: string, text: string): void {
  rmSync(`${file}.new`, { force: true });
  writeFileSync(`${file}.new`, text, { mode: 0o600, flag: 'wx' });
  renameSync(`${file}.new`, file);
}

/** The sidecar that was named, that was built here, or that is installed. */
function findProxy(env: Environment): string {
  const named = env[CLIENT_VARIABLES.proxyBinary];
  if (named) {
    if (isExecutable(named)) return named;
    throw new Failure(EXIT.failed, `${CLIENT_VARIABLES.proxyBinary} names ${named}, and that is no program`);
  }
  const built = ['release', 'debug'].map((profile) => join(ROOT, 'target', profile, 'sluice-proxy'));
  const found = built.find(isExecutable) ?? findExecutable('sluice-proxy', env);
  if (found !== undefined) return found;
  throw new Failure(
    EXIT.failed,
    'there is no sidecar yet: sluice-proxy is neither built nor in PATH',
    [],
    `Build it with "make proxy-release" in ${ROOT}, or name it in ${CLIENT_VARIABLES.proxyBinary}.`,
  );
}

/** The program that a shell would start for `name`. */
function findExecutable(name: string, env: Environment): string | undefined {
  if (name.includes('/')) return isExecutable(name) ? name : undefined;
  const directories = (env.PATH ?? '').split(delimiter);
  return directories.map((directory) => join(directory || '.', name)).find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}
