/** Decides what `sluice run` does: who the workload will be, where its state is, what the sidecar is told. Pure. */
import { createHash } from 'node:crypto';
import { basename, join, resolve } from 'node:path';
import { isDnsLabel, type Labels } from '../model/names.js';
import { MAX_WORKLOAD_PORTS } from '../model/workload.js';
import { SETTINGS, isServiceLink } from '../settings.js';
import { CLIENT_VARIABLES, type ClientSettings, type Environment } from './client-settings.js';
import type { JoinRequest } from './token.js';

export interface RunOptions {
  readonly namespace: string;
  readonly service?: string;
  readonly name?: string;
  readonly serviceAccount?: string;
  readonly label?: Labels;
  readonly port?: readonly AppPort[];
  readonly forward?: readonly Forward[];
  readonly inboundListen?: string;
  readonly outboundListen?: string;
  readonly adminListen?: string;
  readonly xds?: string;
  readonly join?: string;
  readonly stateDir?: string;
  readonly joinTokenFile?: string;
}

/** A port of the program, with the name that services may call it by. */
export interface AppPort {
  readonly name?: string;
  readonly port: number;
}

/** A port of loopback that leads to one service: `db:5432`, or `db.shop:5432`. */
export interface Forward {
  readonly port: number;
  readonly to: string;
}

/** What is asked, and what is so. */
export interface RunRequest {
  readonly options: RunOptions;
  /** The program and its arguments; none: the sidecar runs alone. */
  readonly command: readonly string[];
  readonly settings: Pick<ClientSettings, 'url' | 'trustAnchors' | 'home'>;
  readonly env: Environment;
  readonly hostname: string;
}

export interface RunPlan {
  readonly namespace: string;
  /** What is asked of the control plane; absent when the token was brought along. */
  readonly request?: JoinRequest & { readonly name: string };
  readonly stateDir: string;
  /** Where the token is, or is to be put. */
  readonly joinTokenFile: string;
  /** The whole environment of the sidecar. */
  readonly environment: Readonly<Record<string, string>>;
  /** The arguments of the sidecar. */
  readonly args: readonly string[];
}

/** The ports beside that of the API at which a server listens for sidecars. */
const PORTS = { xds: 8444, join: 8445 } as const;

/** As many as a sidecar takes. */
const MAX_FORWARDS = 64;

/** What the sidecar reads of its environment that a person may set: the rest is this command's to say. */
const OF_THE_SIDECAR =
  /^SLUICE_(ADVERTISE_ADDRESS|START_TIMEOUT|DRAIN_TIMEOUT|LOG|MAX_[A-Z_]+|FORWARD|INBOUND_LISTEN|OUTBOUND_LISTEN|ADMIN_LISTEN)$/;
/** What a client reads, what a server reads, and what a sidecar gives its program: none of it means anything here. */
const OF_OTHERS: readonly string[] = [
  ...Object.values(CLIENT_VARIABLES),
  ...Object.values(SETTINGS).map(({ env }) => env),
  ...['SLUICE_OUTBOUND', 'SLUICE_WORKLOAD', 'SLUICE_ADMIN'],
];

/** The plan, or what is wrong with what is asked, a sentence each. */
export function planRun({ options, command, settings, env, hostname }: RunRequest): RunPlan | readonly string[] {
  const faults = [
    ...unknownVariables(env),
    ...nameFaults(options, command),
    ...portFaults(options),
    ...tokenFaults(options),
  ];
  if (faults.length > 0) return faults;
  const { namespace, service, port: ports = [], forward: forwards = [], label } = options;
  const base = service ?? options.name ?? nameOfCommand(command);
  const name = options.name ?? `${shortened(base)}-${fingerprint(`${hostname}:${ports[0]?.port ?? ''}`)}`;
  const stateDir = resolve(options.stateDir ?? join(settings.home, 'workloads', namespace, name));
  const joinTokenFile = resolve(options.joinTokenFile ?? join(stateDir, 'join-token'));
  const told: Record<string, string | undefined> = {
    SLUICE_STATE_DIR: stateDir,
    SLUICE_TRUST_ANCHORS: resolve(settings.trustAnchors),
    SLUICE_XDS_ADDR: options.xds ?? `${settings.url.hostname}:${PORTS.xds}`,
    SLUICE_JOIN_ADDR: options.join ?? `${settings.url.hostname}:${PORTS.join}`,
    SLUICE_APP_PORT: ports.length === 0 ? undefined : ports.map(printPort).join(','),
    SLUICE_FORWARD: forwards.length === 0 ? undefined : forwards.map(({ port, to }) => `${port}=${to}`).join(','),
    SLUICE_INBOUND_LISTEN: options.inboundListen,
    SLUICE_OUTBOUND_LISTEN: options.outboundListen,
    SLUICE_ADMIN_LISTEN: options.adminListen,
  };
  return {
    namespace,
    ...(options.joinTokenFile === undefined && {
      request: {
        name,
        serviceAccount: options.serviceAccount ?? base,
        ...(service && { service }),
        ...(label && { labels: label }),
      },
    }),
    stateDir,
    joinTokenFile,
    environment: { ...inherited(env), ...defined(told) },
    args: command.length > 0 ? ['--', ...command] : [],
  };
}

const printPort = ({ name, port }: AppPort): string => (name === undefined ? String(port) : `${name}=${port}`);

/** Everything that is not ours, and of ours only what is the sidecar's: above all, never a token of the API. */
const inherited = (env: Environment): Record<string, string> =>
  defined(Object.fromEntries(Object.entries(env).filter(([name]) => !isOurs(name) || OF_THE_SIDECAR.test(name))));

const isOurs = (name: string): boolean => name.startsWith('SLUICE_');

const defined = (values: Readonly<Partial<Record<string, string>>>): Record<string, string> =>
  Object.fromEntries(Object.entries(values).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])));

function unknownVariables(env: Environment): string[] {
  return Object.entries(env)
    .filter(([name]) => isOurs(name) && !OF_THE_SIDECAR.test(name) && !OF_OTHERS.includes(name))
    .filter(([name, value = '']) => !isServiceLink(name, value))
    .map(([name]) => `there is no variable ${name}; the sidecar would not know it`);
}

function nameFaults({ service, name }: RunOptions, command: readonly string[]): string[] {
  if (service !== undefined || name !== undefined || isDnsLabel(nameOfCommand(command))) return [];
  return ['give --service, or --name for a program that is only a caller'];
}

function portFaults({ port: ports = [], forward: forwards = [] }: RunOptions): string[] {
  const isDouble = (values: readonly unknown[]): boolean => new Set(values).size < values.length;
  const faults: string[] = [];
  if (ports.length > MAX_WORKLOAD_PORTS) faults.push(`--port may be given ${MAX_WORKLOAD_PORTS} times at most`);
  if (isDouble(ports.map(({ port }) => port))) faults.push('--port names a port twice');
  if (isDouble(ports.flatMap(({ name }) => name ?? []))) faults.push('--port gives one name to two ports');
  if (forwards.length > MAX_FORWARDS) faults.push(`--forward may be given ${MAX_FORWARDS} times at most`);
  if (isDouble(forwards.map(({ port }) => port))) faults.push('--forward says a port twice');
  return faults;
}

/** A token says who the sidecar will be, so that nothing else can say it too. */
function tokenFaults(options: RunOptions): string[] {
  if (options.joinTokenFile === undefined) return [];
  const said = { '--service': options.service, '--service-account': options.serviceAccount, '--label': options.label };
  const faults = Object.entries(said)
    .filter(([, value]) => value !== undefined)
    .map(([flag]) => `${flag} was said when the token of --join-token-file was made; leave it out`);
  if (options.name === undefined && options.stateDir === undefined) {
    faults.push('--join-token-file needs --name, as the token was made for it, or --state-dir');
  }
  return faults;
}

/** `job` of `/srv/bin/job.py`; not a name if nothing of one is left. */
const nameOfCommand = ([program = '']: readonly string[]): string =>
  basename(program)
    .replace(/\.[A-Za-z0-9]+$/, '')
    .toLowerCase()
    .replaceAll(/[^a-z0-9-]+/g, '-')
    .replaceAll(/^-+|-+$/g, '')
    .slice(0, 63);

/** As much of a name as leaves room for a fingerprint. */
const shortened = (name: string): string => name.slice(0, 57).replace(/-+$/, '');

/** Replicas on different hosts or ports differ, and one that starts again is the one that it was. */
const fingerprint = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, 5);
