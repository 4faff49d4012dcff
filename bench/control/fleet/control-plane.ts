/** A control plane of some checkout, in a process of its own: started, asked over REST, weighed, killed and started again. */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { Agent, request } from 'node:https';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

export interface Answer {
  readonly status: number;
  /** As it came: JSON is read where it is needed. */
  readonly text: string;
}

/** What a process has used: CPU in microseconds since it began, resident memory in KiB now. */
export interface Cost {
  readonly cpu: number;
  readonly resident: number;
}

const START_TIMEOUT_MS = 60_000;

export class ControlPlane {
  readonly dataDir = mkdtempSync(join(tmpdir(), 'sluice-bench-'));
  private child: ChildProcess | undefined;
  private agent = new Agent({ keepAlive: true, maxSockets: 64 });

  readonly ports: { readonly api: number; readonly xds: number; readonly join: number };
  private readonly checkout: string;

  private constructor(checkout: string, ports: ControlPlane['ports']) {
    this.checkout = checkout;
    this.ports = ports;
  }

  /** Starts the built server of `checkout` on free ports, with a database of its own. */
  static async start(checkout: string): Promise<ControlPlane> {
    const [api, xds, joining] = await Promise.all([freePort(), freePort(), freePort()]);
    const server = new ControlPlane(checkout, { api, xds, join: joining });
    await server.start();
    return server;
  }

  /** Starts it (again, on the same data), and comes back when it is alive. */
  async start(): Promise<void> {
    const log = openSync(join(this.dataDir, 'server.log'), 'a');
    const others = Object.entries(process.env).filter(([name]) => !name.startsWith('SLUICE_'));
    const env = {
      ...Object.fromEntries(others),
      SLUICE_DATA_DIR: this.dataDir,
      SLUICE_API_LISTEN: `127.0.0.1:${this.ports.api}`,
      SLUICE_XDS_LISTEN: `127.0.0.1:${this.ports.xds}`,
      SLUICE_JOIN_LISTEN: `127.0.0.1:${this.ports.join}`,
      SLUICE_LOG_LEVEL: 'warn',
    };
    this.child = spawn(join(this.checkout, 'bin/sluice'), ['server'], { env, stdio: ['ignore', log, log] });
    const end = Date.now() + START_TIMEOUT_MS;
    while ((await this.rest('GET', '/livez').catch(() => undefined))?.status !== 200) {
      if (Date.now() > end) throw new Error(`the server of ${this.checkout} did not start; see ${this.dataDir}`);
      await pause(20);
    }
  }

  get trustAnchors(): Buffer {
    return readFileSync(join(this.dataDir, 'trust-anchors.pem'));
  }

  rest(method: string, path: string, body?: object): Promise<Answer> {
    const token = () => readFileSync(join(this.dataDir, 'admin.token'), 'utf8').trim();
    return new Promise((resolve, reject) => {
      const headers = {
        ...(path.startsWith('/v1') && { authorization: `Bearer ${token()}` }),
        ...(body && { 'content-type': 'application/json' }),
      };
      const options = { host: '127.0.0.1', port: this.ports.api, ca: this.trustAnchors, agent: this.agent, headers };
      const call = request({ ...options, method, path, timeout: 40_000 }, (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('end', () => {
          resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString() });
        });
      });
      call.on('timeout', () => call.destroy(new Error('no answer within 40 s')));
      call.on('error', reject);
      call.end(body && JSON.stringify(body));
    });
  }

  /** Writes a document into the namespace of the benchmark. Throws when it is refused. */
  async put(collection: string, name: string, document: object, query = ''): Promise<Answer> {
    const answer = await this.rest('PUT', `/v1/namespaces/${NAMESPACE}/${collection}/${name}${query}`, document);
    if (answer.status >= 500 && query === '') throw new Error(`${collection}/${name}: ${answer.status} ${answer.text}`);
    return answer;
  }

  get cost(): Cost {
    const process = `/proc/${this.child?.pid}`;
    const fields = readFileSync(`${process}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
    const ticks = Number(fields[11]) + Number(fields[12]);
    const resident = /VmRSS:\s+(\d+)/.exec(readFileSync(`${process}/status`, 'utf8'))?.[1];
    // Clock ticks are a hundredth of a second on Linux (USER_HZ, proc(5)).
    return { cpu: ticks * 10_000, resident: Number(resident) };
  }

  /** Ends it without warning. */
  async kill(): Promise<void> {
    const { child } = this;
    if (!child || child.exitCode !== null) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await ended;
    this.agent.destroy();
    this.agent = new Agent({ keepAlive: true, maxSockets: 64 });
  }

  async close(): Promise<void> {
    await this.kill();
    rmSync(this.dataDir, { recursive: true, force: true });
  }
}

/** Where everything of the benchmark stands. */
export const NAMESPACE = 'fleet';

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });
}
