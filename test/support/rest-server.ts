/** A server in this process, on real sockets and a database of its own, and a client that says exactly what it is told. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { request, type Agent } from 'node:https';
import type { IncomingHttpHeaders } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Claims, Doors } from './grpc-client.js';
import { statusesOf, type OpenApiDocument } from './rest-operations.js';
import { readSettings } from '../../src/settings.js';
import { startServer, type RunningServer } from '../../src/server.js';

export interface RestAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  /** The answer, if it is JSON. Tests look into it freely. */
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  readonly body: any;
}

export interface RestOptions {
  readonly body?: unknown;
  /** Sent as it stands, instead of `body`. */
  readonly text?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Absent: the first token of the server. Empty: none. */
  readonly token?: string;
  /** The connections to use; by default one of its own. */
  readonly agent?: Agent;
  /** Hangs up. */
  readonly signal?: AbortSignal;
}

export class RestServer implements Doors {
  private document: Promise<OpenApiDocument> | undefined;

  private constructor(
    readonly server: RunningServer,
    readonly dataDir: string,
    readonly token: string,
    readonly trustAnchors: string,
  ) {}

  static async start(flags: Readonly<Record<string, string>> = {}): Promise<RestServer> {
    const dataDir = flags['dataDir'] ?? mkdtempSync(join(tmpdir(), 'sluice-rest-'));
    const free = { apiListen: '127.0.0.1:0', xdsListen: '127.0.0.1:0', joinListen: '127.0.0.1:0', logLevel: 'silent' };
    const server = await startServer(readSettings({ ...free, dataDir, ...flags }, {}));
    const { adminToken, trustAnchors } = server.files;
    return new RestServer(server, dataDir, readFileSync(adminToken, 'utf8').trim(), readFileSync(trustAnchors, 'utf8'));
  }

  /**
   * The path is sent as it is written, escapes and all. Whatever a test asks for besides: an operation that answers with
   * a status that its OpenAPI document does not list is wrong, or the document is.
   */
  async call(method: string, path: string, options: RestOptions = {}): Promise<RestAnswer> {
    const answer = await this.send(method, path, options);
    this.document ??= this.send('GET', '/openapi.json', {}).then(({ body }) => body as OpenApiDocument);
    const listed = statusesOf(await this.document, method, path);
    if (listed && !listed.includes(String(answer.status))) {
      throw new Error(`${method} ${path} lists ${listed.join(', ')}, and answered ${answer.status}: ${answer.text}`);
    }
    return answer;
  }

  private send(
    method: string,
    path: string,
    { body, text, headers = {}, token = this.token, signal, agent }: RestOptions,
  ): Promise<RestAnswer> {
    const payload = text ?? (body === undefined ? undefined : JSON.stringify(body));
    const { hostname, port } = new URL(this.server.url);
    return new Promise((resolve, reject) => {
      const outgoing = request(
        {
          method,
          hostname,
          port,
          path,
          ca: this.trustAnchors,
          agent: agent ?? false,
          ...(signal && { signal }),
          headers: {
            ...(token !== '' && { authorization: `Bearer ${token}` }),
            ...(payload !== undefined && {
              'content-type': 'application/json',
              'content-length': Buffer.byteLength(payload),
            }),
            ...headers,
          },
        },
        (response) => {
          const chunks: Buffer[] = [];
          response.on('data', (chunk: Buffer) => chunks.push(chunk));
          response.on('end', () => {
            const answer = Buffer.concat(chunks).toString();
            const isJson = /json/.test(response.headers['content-type'] ?? '');
            const parsed: unknown = isJson ? JSON.parse(answer) : undefined;
            resolve({ status: response.statusCode ?? 0, headers: response.headers, text: answer, body: parsed });
          });
        },
      );
      outgoing.on('error', reject).end(payload);
    });
  }

  get joinPort(): number {
    return this.server.joinPort;
  }

  get xdsPort(): number {
    return this.server.xdsPort;
  }

  async joinToken(namespace: string, claims: Claims): Promise<string> {
    const made = await this.call('POST', `/v1/namespaces/${namespace}/join-tokens`, { body: claims });
    return (made.body as { token: string }).token;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server.close();
    rmSync(this.dataDir, { recursive: true });
  }
}
