/** Sends one request as a program beside a sidecar would, or as anybody would, in HTTP/1.1 or HTTP/2. */
import { request as http1Request, type IncomingHttpHeaders } from 'node:http';
import { connect } from 'node:http2';

export interface CallOptions {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** 1.1 by default. */
  readonly version?: '1.1' | '2';
  /** How long the answer may take; 15 s by default. */
  readonly deadlineMs?: number;
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  /** The body as JSON. Tests look into it freely. */
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  readonly json: any;
}

const DEADLINE_MS = 15_000;

/** Calls `url` through the proxy at `via` (`host:port`): in absolute form, or by HTTP/2 with prior knowledge. */
export function callThrough(via: string, url: string, options: CallOptions = {}): Promise<Answer> {
  const { host, pathname, search } = new URL(url);
  const [hostname = '', port = ''] = via.split(':');
  return options.version === '2'
    ? callHttp2(`http://${via}`, host, `${pathname}${search}`, options)
    : callHttp1({ hostname, port, path: url, host }, options);
}

/** Calls `url` itself. */
export function call(url: string, options: CallOptions = {}): Promise<Answer> {
  const { origin, host, hostname, port, pathname, search } = new URL(url);
  const path = `${pathname}${search}`;
  return options.version === '2'
    ? callHttp2(origin, host, path, options)
    : callHttp1({ hostname, port, path, host }, options);
}

interface Target {
  readonly hostname: string;
  readonly port: string;
  readonly path: string;
  readonly host: string;
}

function callHttp1(
  { hostname, port, path, host }: Target,
  { method = 'GET', headers, body, deadlineMs = DEADLINE_MS }: CallOptions,
) {
  return new Promise<Answer>((resolve, reject) => {
    const signal = AbortSignal.timeout(deadlineMs);
    // An agent of its own: whatever HTTP_PROXY says here is not about this call.
    const outgoing = http1Request(
      { hostname, port, path, method, headers: { host, ...headers }, agent: false, signal },
      (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (part: string) => (text += part));
        response.on('error', reject);
        response.on('end', () => resolve(answerOf(response.statusCode ?? 0, response.headers, text)));
      },
    );
    outgoing.on('error', reject).end(body);
  });
}

function callHttp2(
  origin: string,
  authority: string,
  path: string,
  { method = 'GET', headers, body, deadlineMs = DEADLINE_MS }: CallOptions,
) {
  return new Promise<Answer>((resolve, reject) => {
    const session = connect(origin);
    const fail = (error: Error): void => {
      session.destroy();
      reject(error);
    };
    session.on('error', fail).setTimeout(deadlineMs, () => fail(new Error(`no answer within ${deadlineMs} ms`)));
    const stream = session.request({ ':method': method, ':path': path, ':authority': authority, ...headers });
    let [status, received, text] = [0, {} as IncomingHttpHeaders, ''];
    stream.on('response', (head) => {
      status = head[':status'] ?? 0;
      received = head;
    });
    stream.on('trailers', (trailers) => (received = { ...received, ...(trailers as IncomingHttpHeaders) }));
    stream.setEncoding('utf8').on('data', (part: string) => (text += part));
    stream.on('error', fail).on('end', () => {
      session.close();
      resolve(answerOf(status, received, text));
    });
    stream.end(body);
  });
}

function answerOf(status: number, headers: IncomingHttpHeaders, body: string): Answer {
  return {
    status,
    headers,
    body,
    get json() {
      return JSON.parse(body) as unknown;
    },
  };
}
