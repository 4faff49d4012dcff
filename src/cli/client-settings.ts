/** Where the control plane is, how it is known, and which token opens it: from flags and the environment, in one place. */
import { homedir } from 'node:os';
import { join } from 'node:path';
import { EXIT } from './exit.js';
import { Failure } from './failure.js';

export type Environment = Readonly<Partial<Record<string, string>>>;

/** The flags that every command has that talks to the control plane. */
export interface ClientFlags {
  readonly url?: string;
  readonly tokenFile?: string;
  readonly trustAnchors?: string;
}

export interface ClientSettings {
  /** Without a path: `https://127.0.0.1:8443`. */
  readonly url: URL;
  /** The token itself, from the environment, or the file that holds it. Never from the command line, which others see. */
  readonly token: { readonly text: string } | { readonly file: string };
  readonly trustAnchors: string;
  /** What is kept between commands, and what a server on this machine keeps if it is not told otherwise. */
  readonly home: string;
}

export const CLIENT_DEFAULTS = {
  url: 'https://127.0.0.1:8443',
  home: '~/.sluice',
  tokenFile: '$SLUICE_HOME/admin.token',
  trustAnchors: '$SLUICE_HOME/trust-anchors.pem',
} as const;

/** The environment variables of the client. */
export const CLIENT_VARIABLES = {
  url: 'SLUICE_URL',
  token: 'SLUICE_TOKEN',
  tokenFile: 'SLUICE_TOKEN_FILE',
  trustAnchors: 'SLUICE_TRUST_ANCHORS',
  home: 'SLUICE_HOME',
  proxyBinary: 'SLUICE_PROXY_BIN',
} as const;

export const homeOf = (env: Environment): string => env[CLIENT_VARIABLES.home] || join(homedir(), '.sluice');

/** Reads the settings, a flag before its variable before its default. Throws a usage failure. */
export function readClientSettings(flags: ClientFlags, env: Environment): ClientSettings {
  const home = homeOf(env);
  const text = env[CLIENT_VARIABLES.token];
  const file = flags.tokenFile ?? (text ? undefined : env[CLIENT_VARIABLES.tokenFile] || join(home, 'admin.token'));
  return {
    url: readUrl(flags.url ?? (env[CLIENT_VARIABLES.url] || CLIENT_DEFAULTS.url)),
    token: file === undefined ? { text: text ?? '' } : { file },
    trustAnchors: flags.trustAnchors ?? (env[CLIENT_VARIABLES.trustAnchors] || join(home, 'trust-anchors.pem')),
    home,
  };
}

function readUrl(text: string): URL {
  const url = URL.parse(text);
  if (url?.protocol === 'https:' && url.pathname === '/' && !url.search && !url.username) return url;
  throw new Failure(
    EXIT.usage,
    `the URL of the control plane is "${text}"; it must be https://HOST:PORT, such as ${CLIENT_DEFAULTS.url}`,
    [],
    `Say where it is with --url or ${CLIENT_VARIABLES.url}.`,
  );
}
