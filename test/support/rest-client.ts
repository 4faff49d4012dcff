/** A client of the REST API that knows the few paths that tests and the demo need. */
import { request as httpsRequest } from 'node:https';
import { readFileSync } from 'node:fs';
import { API_VERSION } from '../../src/model/document.ts';
import type { Kind } from '../../src/model/kinds.ts';

/** A document as somebody writes it. */
export interface Written {
  readonly kind: Kind;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
  };
  readonly spec: object;
}

export interface RestAnswer {
  readonly status: number;
  /** Tests look into it freely. */
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  readonly body: any;
}

export interface RestRequest {
  readonly method: string;
  /** With its query. */
  readonly path: string;
  readonly body?: unknown;
}

export type Query = Readonly<Record<string, string>>;

const DEADLINE_MS = 60_000;

export class RestClient {
  readonly url: string;
  readonly tokenFile: string;
  readonly trustAnchors: string;

  constructor(url: string, tokenFile: string, trustAnchors: string) {
    this.url = url;
    this.tokenFile = tokenFile;
    this.trustAnchors = trustAnchors;
  }

  /** The answer, good or bad. */
  send({ method, path, body }: RestRequest): Promise<RestAnswer> {
    const payload = body === undefined ? undefined : JSON.stringify(body);
    const headers = {
      authorization: `Bearer ${readFileSync(this.tokenFile, 'utf8').trim()}`,
      ...(payload !== undefined && { 'content-type': 'application/json' }),
    };
    const [ca, signal] = [readFileSync(this.trustAnchors), AbortSignal.timeout(DEADLINE_MS)];
    return new Promise((resolve, reject) => {
      const target = new URL(path, this.url);
      const outgoing = httpsRequest(target, { method, headers, ca, agent: false, signal }, (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (part: string) => (text += part));
        response.on('error', reject);
        response.on('end', () => {
          const answer: unknown = text === '' ? undefined : JSON.parse(text);
          resolve({ status: response.statusCode ?? 0, body: answer });
        });
      });
      outgoing.on('error', reject).end(payload);
    });
  }

  get(path: string): Promise<RestAnswer> {
    return this.send({ method: 'GET', path });
  }

  put(document: Written, query: Query = {}): Promise<RestAnswer> {
    return this.send(putOf(document, query));
  }

  remove(document: Pick<Written, 'kind' | 'metadata'>, query: Query = {}): Promise<RestAnswer> {
    return this.send({ method: 'DELETE', path: `${pathOf(document)}${queryOf(query)}` });
  }

  /** The number of the newest revision. */
  async newest(): Promise<number> {
    const answer = await this.get('/v1/revisions?limit=1');
    return (answer.body as { items: [{ number: number }] }).items[0].number;
  }

  /** Waits until every proxy that is not lost has the newest revision whole. */
  async converged(timeout = 20_000): Promise<void> {
    const end = Date.now() + timeout;
    for (;;) {
      const answer = await this.get('/v1/proxies?limit=1000');
      const behind = (answer.body as { items: { id: string; state: string; lag?: number }[] }).items.filter(
        ({ lag, state }) => lag !== 0 && state !== 'lost',
      );
      if (behind.length === 0) return;
      if (Date.now() > end) throw new Error(`not converged: ${behind.map(({ id }) => id).join(', ')}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

/** The request that puts a document in place. */
export const putOf = (document: Written, query: Query = {}): RestRequest => ({
  method: 'PUT',
  path: `${pathOf(document)}${queryOf(query)}`,
  body: { apiVersion: API_VERSION, ...document },
});

/** Said again as a client of any language would have to; the demo runs this file as it stands, without a build. */
const COLLECTIONS: Readonly<Record<Kind, string>> = {
  Service: 'services',
  Workload: 'workloads',
  TrafficSplit: 'traffic-splits',
  AuthorizationPolicy: 'authorization-policies',
  MeshSettings: 'mesh-settings',
};

function pathOf({ kind, metadata: { namespace = 'shop', name } }: Pick<Written, 'kind' | 'metadata'>): string {
  const collection = COLLECTIONS[kind];
  return kind === 'MeshSettings' ? `/v1/${collection}` : `/v1/namespaces/${namespace}/${collection}/${name}`;
}

function queryOf(query: Query): string {
  const parameters = Object.entries(query).map(([name, value]) => `${name}=${encodeURIComponent(value)}`);
  return parameters.length > 0 ? `?${parameters.join('&')}` : '';
}
