/** A whole Sluice of real processes: a control plane with data of its own, and workloads beside their sidecars. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DEADLINE_MS, RunningProcess, freePort, removeAtEnd, type Exit } from './processes.ts';
import { RestClient, type Query, type RestAnswer, type Written } from './rest-client.ts';
import { Workload, type WorkloadOptions } from './workload.ts';

export const ROOT = join(import.meta.dirname, '..', '..');
const BINARY = join(ROOT, 'bin', 'sluice');

export interface SluiceOptions {
  /** Flags of `sluice server` without their dashes: `{ 'proxy-lease': '2s' }`. */
  readonly settings?: Readonly<Record<string, string>>;
}

/** What a command came to. */
export interface CommandResult extends Exit {
  readonly stdout: string;
  readonly stderr: string;
}

/** Starts a control plane on free ports of 127.0.0.1, and is done when it answers. */
export async function startSluice(options: SluiceOptions = {}): Promise<Sluice> {
  const home = mkdtempSync(join(tmpdir(), 'sluice-'));
  removeAtEnd(home);
  const sluice = new Sluice(home, options.settings ?? {});
  try {
    await sluice.start();
    return sluice;
  } catch (error) {
    await sluice[Symbol.asyncDispose]();
    throw error;
  }
}

export class Sluice implements AsyncDisposable {
  /** Its data directory, and the SLUICE_HOME of its clients. */
  readonly home: string;
  /** Where it listens; known once it has started, and the same ever after. */
  url = '';
  xds = '';
  join = '';
  server!: RunningProcess;
  readonly workloads: Workload[] = [];
  private readonly settings: Readonly<Record<string, string>>;
  private listen: Readonly<Record<string, string>> | undefined;

  constructor(home: string, settings: Readonly<Record<string, string>>) {
    this.home = home;
    this.settings = settings;
  }

  get tokenFile(): string {
    return join(this.home, 'admin.token');
  }

  get trustAnchors(): string {
    return join(this.home, 'trust-anchors.pem');
  }

  get rest(): RestClient {
    return new RestClient(this.url, this.tokenFile, this.trustAnchors);
  }

  /** Starts the control plane: on free ports the first time, on the same ports and data after that. */
  async start(): Promise<void> {
    // Chosen here: a port that the system chose may be somebody else's by the time of a restart.
    this.listen ??= {
      'api-listen': await freeAddress(),
      'xds-listen': await freeAddress(),
      'join-listen': await freeAddress(),
    };
    const flags = Object.entries({ 'data-dir': this.home, ...this.listen, ...this.settings });
    const args = flags.flatMap(([flag, value]) => [`--${flag}`, value]);
    this.server = new RunningProcess('control plane', [BINARY, 'server', ...args], { env: this.environment() });
    const [, url = ''] = await this.server.wrote(/REST API\s+(https:\S+)\/v1/);
    const [, join = '', xds = ''] = await this.server.wrote(/join at (\S+), stream from (\S+)/);
    [this.url, this.xds, this.join] = [url, xds, join];
  }

  /** Stops the control plane; `SIGKILL` for one that has no time to say goodbye. */
  stop(signal?: NodeJS.Signals): Promise<Exit> {
    return this.server.stop(signal);
  }

  async restart(signal?: NodeJS.Signals): Promise<void> {
    await this.stop(signal);
    await this.start();
  }

  /** Runs a command of the command line to its end, with everything set for this control plane. */
  async cli(
    args: readonly string[],
    env: Readonly<Record<string, string | undefined>> = {},
    input?: string,
  ): Promise<CommandResult> {
    const variables = { ...this.environment(), SLUICE_URL: this.url, ...env };
    // What a shell would do for `<file`.
    const command: [string, ...string[]] = input === undefined ? [BINARY, ...args] : withInput(input, args);
    const running = new RunningProcess(`sluice ${args.join(' ')}`, command, { env: variables });
    const exit = await running.exit;
    return { ...exit, stdout: running.stdout, stderr: running.stderr };
  }

  /** Starts a program beside a sidecar, in namespace `shop` if none is named; done when it can call and be called. */
  async workload(name: string, options: WorkloadOptions = {}): Promise<Workload> {
    const workload = new Workload(name, options, {
      command: [BINARY, 'run', '--url', this.url, '--xds', this.xds, '--join', this.join],
      environment: this.environment(),
      home: this.home,
    });
    this.workloads.push(workload);
    await workload.start();
    if (!options.onlyCalls) await this.healthy(workload);
    return workload;
  }

  /** Waits until the mesh knows that a workload takes calls. */
  async healthy({ sidecar, name, namespace }: Workload): Promise<void> {
    const path = `/v1/namespaces/${namespace}/workloads/${name}`;
    await sidecar.until('it is healthy', async () => {
      const answer = await this.rest.get(path);
      return (answer.body as { readonly spec?: { readonly health: string } }).spec?.health === 'Healthy';
    });
  }

  put(document: Written, query?: Query): Promise<RestAnswer> {
    return this.rest.put(document, query);
  }

  /** Waits until every sidecar serves the newest revision. Throws when they do not in time. */
  async converged(): Promise<void> {
    await this.rest.converged();
  }

  /** Waits until the sidecars of `workloads` have their streams. */
  async connected(workloads: readonly Workload[] = this.workloads, deadlineMs = DEADLINE_MS): Promise<void> {
    await this.server.until(
      'every sidecar has its stream',
      async () => {
        const answer = await this.rest.get('/v1/proxies?limit=1000');
        const { items } = answer.body as { readonly items: readonly { readonly id: string; readonly state: string }[] };
        const connected = items.filter(({ state }) => state === 'connected').map((proxy) => proxy.id);
        const missing = workloads.filter(({ id }) => !connected.includes(id)).map(({ id }) => id);
        if (missing.length > 0) throw new Error(`not ${missing.join(', ')}`);
        return true;
      },
      deadlineMs,
    );
  }

  /** What a person's shell would set, and nothing of what the shell of this process may have set. */
  private environment(): Record<string, string | undefined> {
    const own = Object.entries(process.env).filter(([name]) => !name.startsWith('SLUICE_'));
    const binary = process.env['SLUICE_PROXY_BIN'];
    return { ...Object.fromEntries(own), SLUICE_HOME: this.home, ...(binary && { SLUICE_PROXY_BIN: binary }) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.workloads.map((workload) => workload.stop()));
    await this.stop();
    rmSync(this.home, { recursive: true, force: true });
  }
}

const freeAddress = async (): Promise<string> => `127.0.0.1:${await freePort()}`;

const withInput = (input: string, args: readonly string[]): [string, ...string[]] => [
  '/bin/sh',
  '-c',
  'printf %s "$0" | "$@"',
  input,
  BINARY,
  ...args,
];
