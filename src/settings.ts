/** Every setting of the server: its name, its default and its meaning; read once at start, and passed in from there. */
import { homedir } from 'node:os';
import { join } from 'node:path';
import { isCidr } from './model/addresses.js';
import { isTrustDomain } from './model/names.js';
import { parseDuration } from './model/duration.js';
import type { HistoryKeep } from './model/revision.js';

export interface Settings {
  readonly dataDir: string;
  readonly apiListen: ListenAddress;
  readonly xdsListen: ListenAddress;
  readonly joinListen: ListenAddress;
  readonly serverNames: readonly string[];
  readonly trustDomain: string;
  readonly proxyLeaseMs: number;
  readonly drainTimeoutMs: number;
  readonly historyKeep: HistoryKeep;
  readonly workloadNetworks: readonly string[];
  readonly logLevel: LogLevel;
}

/** By which modules ask for them. */
export const SERVER_SETTINGS = Symbol('Settings');

export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** A setting as it is written: `--flag` or the environment variable, the flag winning. */
interface Setting<Value> {
  readonly flag: string;
  readonly env: string;
  readonly byDefault: string;
  readonly meaning: string;
  /** What the text means; a string is why it means nothing. */
  readonly read: (text: string) => { readonly value: Value } | string;
}

type SettingTable = { readonly [Name in keyof Settings]: Setting<Settings[Name]> };

export const SETTINGS: SettingTable = {
  dataDir: {
    flag: '--data-dir',
    env: 'SLUICE_DATA_DIR',
    byDefault: join(homedir(), '.sluice'),
    meaning: 'directory of the database, the keys of the authority and the first token',
    read: (text) => (text === '' ? 'it must not be empty' : { value: text }),
  },
  apiListen: {
    flag: '--api-listen',
    env: 'SLUICE_API_LISTEN',
    byDefault: '127.0.0.1:8443',
    meaning: 'address of the REST API (HTTPS); port 0 for a free one',
    read: readAddress,
  },
  xdsListen: {
    flag: '--xds-listen',
    env: 'SLUICE_XDS_LISTEN',
    byDefault: '127.0.0.1:8444',
    meaning: 'address that sidecars stream their configuration from (gRPC, mutual TLS)',
    read: readAddress,
  },
  joinListen: {
    flag: '--join-listen',
    env: 'SLUICE_JOIN_LISTEN',
    byDefault: '127.0.0.1:8445',
    meaning: 'address at which sidecars join with a token (gRPC, TLS)',
    read: readAddress,
  },
  serverNames: {
    flag: '--server-names',
    env: 'SLUICE_SERVER_NAMES',
    byDefault: 'localhost,127.0.0.1,::1',
    meaning: 'host names and IP addresses, by commas, that the certificate of the server stands for',
    read: (text) => {
      const names = text.split(',').filter((name) => name !== '');
      return names.length > 0 && names.every((name) => /^[A-Za-z0-9.:-]+$/.test(name))
        ? { value: names }
        : 'it must list host names or IP addresses, separated by commas';
    },
  },
  trustDomain: {
    flag: '--trust-domain',
    env: 'SLUICE_TRUST_DOMAIN',
    byDefault: 'sluice.local',
    meaning: 'first part of every identity; a mesh keeps the one that it began with',
    read: (text) =>
      isTrustDomain(text) ? { value: text } : 'it must be a DNS name in lower case, such as "mesh.example.com"',
  },
  proxyLeaseMs: {
    flag: '--proxy-lease',
    env: 'SLUICE_PROXY_LEASE',
    byDefault: '30s',
    meaning: 'how long a sidecar may be without a stream before its workload gets no more calls',
    read: (text) => {
      const value = parseDuration(text);
      return value !== undefined && value >= 1_000
        ? { value }
        : 'it must be a duration of at least 1s, such as "30s" or "5m"';
    },
  },
  drainTimeoutMs: {
    flag: '--drain-timeout',
    env: 'SLUICE_DRAIN_TIMEOUT',
    byDefault: '10s',
    meaning: 'how long a server that is told to stop goes on answering what it was asked before',
    read: (text) => {
      const value = parseDuration(text);
      return value !== undefined && value <= 3_600_000
        ? { value }
        : 'it must be a duration of at most 1h, such as "10s" or "0s"';
    },
  },
  historyKeep: {
    flag: '--history-keep',
    env: 'SLUICE_HISTORY_KEEP',
    byDefault: '10000,30d',
    meaning:
      'how many revisions are kept at most, and for how long: one of them or both, by commas; "all" for all, for ever',
    read: readHistoryKeep,
  },
  workloadNetworks: {
    flag: '--workload-networks',
    env: 'SLUICE_WORKLOAD_NETWORKS',
    byDefault: '',
    meaning:
      'networks (CIDR), by commas, in which a sidecar may say that it is reached; elsewhere only where its report comes from',
    read: (text) => {
      const networks = text.split(',').filter((network) => network !== '');
      return networks.every(isCidr)
        ? { value: networks }
        : 'it must list networks, such as 10.0.0.0/8, separated by commas';
    },
  },
  logLevel: {
    flag: '--log-level',
    env: 'SLUICE_LOG_LEVEL',
    byDefault: 'info',
    meaning: `how much is logged: ${LOG_LEVELS.join(', ')}`,
    read: (text) => {
      const value = LOG_LEVELS.find((level) => level === text);
      return value ? { value } : `it must be one of ${LOG_LEVELS.join(', ')}`;
    },
  },
};

/** Settings that do not make sense; one line for each thing that is wrong. */
export class SettingsFaulty extends Error {
  override readonly name = 'SettingsFaulty';
}

/**
 * Reads all settings. `flags` are by the names of Settings. `others` are environment variables that begin with
 * `SLUICE_` and are somebody else's; any further one is taken for a mistake. Throws SettingsFaulty.
 */
export function readSettings(
  flags: Readonly<Partial<Record<string, string>>>,
  env: Readonly<Partial<Record<string, string>>>,
  others: readonly string[] = [],
): Settings {
  const faults: string[] = [];
  const known = [...Object.values(SETTINGS).map((setting) => setting.env), ...others];
  for (const [name, value = ''] of Object.entries(env)) {
    if (name.startsWith('SLUICE_') && !known.includes(name) && !isServiceLink(name, value)) {
      faults.push(`unknown setting ${name}; there are ${known.join(', ')}`);
    }
  }
  const settings = Object.entries(SETTINGS).map(([name, { flag, env: variable, byDefault, read }]) => {
    const [source, text] = flags[name] !== undefined ? [flag, flags[name]] : [variable, env[variable] ?? byDefault];
    const result = (read as Setting<unknown>['read'])(text);
    if (typeof result === 'string') faults.push(`${source}=${text}: ${result}`);
    return [name, typeof result === 'string' ? undefined : result.value];
  });
  if (faults.length > 0) throw new SettingsFaulty(faults.join('\n'));
  return Object.fromEntries(settings) as Settings;
}

/**
 * Whether a variable is one of those that Kubernetes gives to every container for a Service that is called `sluice`, or
 * `sluice-...`: nobody meant it for us. By its name and its value, since a person may write SLUICE_API_PORT by mistake.
 */
export const isServiceLink = (name: string, value: string): boolean =>
  SERVICE_LINKS.some(([names, values]) => names.test(name) && values.test(value));

const NUMBER = /^\d{1,5}$/;
const ADDRESS = /^[0-9a-fA-F.:]+$/;
const URL_OF_PORT = /^(?:tcp|udp|sctp):\/\/\S+:\d{1,5}$/;

const SERVICE_LINKS: readonly (readonly [names: RegExp, values: RegExp])[] = [
  [/_SERVICE_HOST$/, ADDRESS],
  [/_SERVICE_PORT(?:_[A-Z0-9_]+)?$/, NUMBER],
  [/_PORT(?:_\d+_(?:TCP|UDP|SCTP))?$/, URL_OF_PORT],
  [/_PORT_\d+_(?:TCP|UDP|SCTP)_PROTO$/, /^(?:tcp|udp|sctp)$/],
  [/_PORT_\d+_(?:TCP|UDP|SCTP)_PORT$/, NUMBER],
  [/_PORT_\d+_(?:TCP|UDP|SCTP)_ADDR$/, ADDRESS],
];

/** A number of revisions, a duration, or both; whichever bound is reached first holds. */
function readHistoryKeep(text: string): { readonly value: HistoryKeep } | string {
  const form =
    'it must be a number of revisions from 1, a duration of at least 1m, or both, such as "10000,30d"; or "all"';
  if (text === 'all') return { value: { revisions: Infinity, ageMs: Infinity } };
  const parts = text.split(',');
  const counts = parts.filter((part) => /^\d{1,9}$/.test(part)).map(Number);
  const ages = parts.flatMap((part) => parseDuration(part) ?? []);
  if (counts.length > 1 || ages.length > 1 || counts.length + ages.length < parts.length) return form;
  const [revisions = Infinity, ageMs = Infinity] = [counts[0], ages[0]];
  return revisions < 1 || ageMs < 60_000 ? form : { value: { revisions, ageMs } };
}

function readAddress(text: string): { readonly value: ListenAddress } | string {
  const [, host = '', port = ''] =
    /^(?:\[([0-9a-fA-F:]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text)?.filter((part) => part !== undefined) ?? [];
  return host !== '' && Number(port) <= 65_535
    ? { value: { host, port: Number(port) } }
    : 'it must be HOST:PORT, such as 127.0.0.1:8443 or [::1]:8443';
}
