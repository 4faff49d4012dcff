/** One program beside its sidecar, as `sluice run` starts it: what can be done to the two, and seen of them. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { call, callThrough, type Answer, type CallOptions } from './http-call.ts';
import { Hopeless, RunningProcess, freePort, type Exit } from './processes.ts';

export interface WorkloadOptions {
  /** `shop` by default. */
  readonly namespace?: string;
  readonly service?: string;
  readonly serviceAccount?: string;
  readonly labels?: Readonly<Record<string, string>>;
  /** The program and its arguments, given its ports. By default one that echoes what it is asked. */
  readonly program?: (...ports: readonly [number, ...number[]]) => readonly string[];
  /** Its ports and the names that they have. By default (or where there are none) one, on a free port. */
  readonly ports?: readonly { readonly name?: string; readonly port: number }[];
  /** It is not called by anybody, and its sidecar does not listen for callers. */
  readonly onlyCalls?: boolean;
  /** More environment for sidecar and program. */
  readonly env?: Readonly<Record<string, string>>;
}

/** Where a sidecar listens, as `host:port`. */
export interface Addresses {
  readonly pid: number;
  /** For callers of its first port; null: it only calls. */
  readonly inbound: string | null;
  /** For callers of each of its ports. */
  readonly doors: Readonly<Record<string, string>>;
  readonly outbound: string;
  readonly admin: string;
}

export interface Surroundings {
  /** `sluice run` with what every workload has in common. */
  readonly command: readonly [string, ...string[]];
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly home: string;
}

const ECHO = join(import.meta.dirname, 'echo.mjs');

export class Workload implements AsyncDisposable {
  readonly name: string;
  readonly namespace: string;
  /** `namespace/name`. */
  readonly id: string;
  readonly stateDir: string;
  /** The first port of the program itself. */
  port = 0;
  /** The sidecar. Its program is its child. */
  sidecar!: RunningProcess;
  private stopped = false;
  addresses!: Addresses;
  private readonly options: WorkloadOptions;
  private readonly surroundings: Surroundings;

  constructor(name: string, options: WorkloadOptions, surroundings: Surroundings) {
    this.name = name;
    this.namespace = options.namespace ?? 'shop';
    this.id = `${this.namespace}/${name}`;
    this.stateDir = join(surroundings.home, 'workloads', this.namespace, name);
    this.options = options;
    this.surroundings = surroundings;
  }

  /** Starts sidecar and program, and is done when the sidecar is ready. The port of the program stays the same. */
  async start(): Promise<void> {
    const { service, serviceAccount, labels = {}, onlyCalls = false, env } = this.options;
    const program = this.options.program ?? ((...all) => [process.execPath, ECHO, ...all.map(String)]);
    this.stopped = false;
    this.port ||= this.options.ports?.[0]?.port ?? (await freePort());
    const { ports: given = [] } = this.options;
    const ports = given.length > 0 ? given : [{ port: this.port }];
    if (this.stopped as boolean) throw new Hopeless(`${this.id} was stopped before it was started`);
    const flags: readonly (readonly [string, string | undefined])[] = [
      ['--namespace', this.namespace],
      ['--name', this.name],
      ['--service', service],
      ['--service-account', serviceAccount],
      ...ports.map(({ name, port }) => {
        const text = name === undefined ? String(port) : `${name}=${port}`;
        return ['--port', onlyCalls ? undefined : text] as const;
      }),
      ...Object.entries(labels).map(([key, value]) => ['--label', `${key}=${value}`] as const),
    ];
    const args = flags.flatMap(([flag, value]) => (value === undefined ? [] : [flag, value]));
    const { command, environment } = this.surroundings;
    this.sidecar = new RunningProcess(
      this.id,
      [...command, ...args, '--', ...program(this.port, ...ports.slice(1).map(({ port }) => port))],
      {
        env: { ...environment, SLUICE_DRAIN_TIMEOUT: '5s', ...env },
      },
    );
    this.addresses = await this.sidecar.until('it listens', () => this.readAddresses());
    await this.sidecar.until('it is ready', async () => (await this.admin('/readyz')).status === 200);
    if (onlyCalls) return;
    for (const { port } of ports) await this.sidecar.until('its program listens', () => answers(port));
  }

  async stop(signal?: NodeJS.Signals): Promise<Exit> {
    this.stopped = true;
    return this.sidecar?.stop(signal) ?? { code: null, signal: null };
  }

  async restart(signal?: NodeJS.Signals): Promise<void> {
    await this.stop(signal);
    await this.start();
  }

  /** Makes the sidecar stand still: it hears nothing and serves nothing, and its connections stay. */
  pause(): void {
    this.sidecar.signal('SIGSTOP');
  }

  resume(): void {
    this.sidecar.signal('SIGCONT');
  }

  /** Calls a service as the program would: `http://cart.shop/items`. */
  call(url: string, options?: CallOptions): Promise<Answer> {
    return callThrough(this.addresses.outbound, url, options);
  }

  /** `/livez`, `/readyz`, `/config` or `/metrics`. */
  admin(path: string): Promise<Answer> {
    return call(`http://${this.addresses.admin}${path}`);
  }

  /** What the sidecar has in force. Tests look into it freely. */
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  async config(): Promise<any> {
    return (await this.admin('/config')).json as unknown;
  }

  /** The sum of a metric over all series that have `labels`; 0 if there is none. */
  async metric(name: string, labels: Readonly<Record<string, string>> = {}): Promise<number> {
    const { body } = await this.admin('/metrics');
    const wanted = Object.entries(labels).map(([key, value]) => `${key}="${value}"`);
    return body
      .split('\n')
      .map((line) => /^([A-Za-z_:][\w:]*)(\{.*\})? (\S+)/.exec(line))
      .filter((series) => series?.[1] === name && wanted.every((label) => series[2]?.includes(label)))
      .reduce((sum, series) => sum + Number(series?.[3]), 0);
  }

  /** Undefined until this very sidecar has written them: the file may be that of an earlier one. */
  private readAddresses(): Addresses | undefined {
    const text = readFileSync(join(this.stateDir, 'addresses.json'), 'utf8');
    const { inbound: doors, ...rest } = JSON.parse(text) as Omit<Addresses, 'inbound' | 'doors'> & {
      inbound: Addresses['doors'];
    };
    return rest.pid === this.sidecar.pid ? { ...rest, doors, inbound: doors[this.port] ?? null } : undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}

/** True once somebody accepts connections at `port`. */
async function answers(port: number): Promise<boolean> {
  const { connect } = await import('node:net');
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => resolve(true)).on('error', () => resolve(false));
    socket.on('connect', () => socket.destroy());
  });
}
