/** Talks to the control plane over REST, and turns every way in which that can fail into words and an exit code. */
import { readFileSync } from 'node:fs';
import { request as httpsRequest } from 'node:https';
import type { Ref } from '../model/document.js';
import type { Fault } from '../model/fault.js';
import { CLIENT_VARIABLES, type ClientSettings } from './client-settings.js';
import { EXIT, exitOfProblem } from './exit.js';
import { Failure } from './failure.js';
import type { Plan } from './plan.js';

export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly errors?: readonly Fault[];
  /** How many faults there are beside those. */
  readonly moreErrors?: number;
  readonly receipt?: Receipt;
  /** What a plan comes to now that it was held to. */
  readonly preview?: Plan;
}

export interface Receipt {
  readonly revision: number;
  readonly affected: number;
  readonly serving: number;
  readonly laggards: readonly { readonly proxy: string; readonly reason: string; readonly detail: string }[];
  readonly lost: readonly { readonly proxy: string; readonly enrolment?: string; readonly since: string }[];
  readonly why: string;
  readonly noEffect?: readonly { readonly ref: Ref; readonly reason: string; readonly message: string }[];
}

/** The control plane understood and said no. */
export class Refusal extends Failure {
  constructor(
    readonly problem: Problem,
    advice = '',
  ) {
    const { errors = [], title, detail } = problem;
    // With faults to list, the detail would only say the first of them twice.
    const message = errors.length > 0 ? title : detail;
    super(
      exitOfProblem(problem),
      message,
      printFaults(problem, ({ pointer, detail }) => [pointer, detail].filter(Boolean).join(': ')),
      advice,
    );
  }
}

/** A line for each fault, as `print` says it, and one for those that were not told. */
export const printFaults = ({ errors = [], moreErrors }: Problem, print: (fault: Fault) => string): string[] => [
  ...errors.map(print),
  ...(moreErrors === undefined ? [] : [`and ${moreErrors} more`]),
];

export interface Answer {
  readonly status: number;
  readonly body: unknown;
}

export type Query = Readonly<Record<string, string | undefined>>;

export interface RequestOptions {
  readonly query?: Query;
  readonly body?: unknown;
  /** How much longer than usual an answer may take, in milliseconds: because it waits for proxies. */
  readonly patienceMs?: number;
}

/** How long an answer may take that waits for nothing, in milliseconds. */
const ANSWER_MS = 30_000;

export class Rest {
  constructor(private readonly settings: ClientSettings) {}

  /** The answer, if it is a good one. Throws Refusal for a problem document, and Failure when there is no answer. */
  async request(method: string, path: string, options: RequestOptions = {}): Promise<Answer> {
    const { status, text } = await this.exchange(method, path, options);
    const body = parseJson(text);
    if (status < 400 && (body !== undefined || text === '')) return { status, body };
    if (!isProblem(body)) {
      throw new Failure(EXIT.failed, `${this.settings.url.origin} answered ${status}, but not as a control plane does`);
    }
    throw new Refusal(body, status === 401 ? this.tokenAdvice() : '');
  }

  private exchange(method: string, path: string, { query = {}, body, patienceMs = 0 }: RequestOptions) {
    const { url, trustAnchors } = this.settings;
    // First: where there are none, no server was ever started, and a missing token is no news.
    const ca = readAnchors(trustAnchors, url);
    const text = body === undefined ? undefined : JSON.stringify(body);
    const target = new URL(path, url);
    for (const [name, value] of Object.entries(query)) if (value !== undefined) target.searchParams.set(name, value);
    const headers = {
      authorization: `Bearer ${readToken(this.settings)}`,
      accept: 'application/json',
      ...(text !== undefined && { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }),
    };
    return new Promise<{ status: number; text: string }>((resolve, reject) => {
      const fail = (error: Error) => reject(unreachable(error, this.settings));
      const signal = AbortSignal.timeout(ANSWER_MS + patienceMs);
      // An agent of its own: no connection outlives the answer, and no proxy setting of the environment counts.
      const call = httpsRequest(target, { method, headers, ca, agent: false, signal }, (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', fail);
        response.on('end', () => resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString() }));
      });
      call.on('error', fail).end(text);
    });
  }

  private tokenAdvice(): string {
    const { token } = this.settings;
    const source = 'file' in token ? `the file ${token.file}` : `the variable ${CLIENT_VARIABLES.token}`;
    return `It came from ${source}; name another file with --token-file.`;
  }
}

/** A segment of a path, as it must be written there. */
export const segment = (text: string | number): string => encodeURIComponent(text);

/** Every item of a list, page by page, or the first `limit`. */
export async function listAll(
  rest: Pick<Rest, 'request'>,
  path: string,
  limit = Infinity,
  query: Query = {},
): Promise<unknown[]> {
  const items: unknown[] = [];
  let cursor: string | undefined;
  do {
    const page = { ...query, cursor, limit: String(Math.min(PAGE, limit - items.length)) };
    const { body } = await rest.request('GET', path, { query: page });
    const { items: more, next } = body as { readonly items: readonly unknown[]; readonly next?: string };
    items.push(...more);
    cursor = next;
  } while (cursor !== undefined && items.length < limit);
  return items;
}

const PAGE = 1_000;

function readToken({ token }: ClientSettings): string {
  const advice = `The server writes the first one to admin.token in its data directory; name a file with --token-file, or set ${CLIENT_VARIABLES.tokenFile} or ${CLIENT_VARIABLES.token}.`;
  const refuse = (why: string): never => {
    throw new Failure(EXIT.notAuthorised, `there is no token: ${why}`, [], advice);
  };
  const [source, text] =
    'text' in token ? [CLIENT_VARIABLES.token, token.text] : [token.file, read(token.file, refuse)];
  return /^[!-~]+$/.test(text.trim()) ? text.trim() : refuse(`${source} does not hold one`);
}

/** The text of a file; `refuse` is told when it cannot be had. */
function read(file: string, refuse: (why: string) => never): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    return refuse(`${file} cannot be read (${(error as NodeJS.ErrnoException).code})`);
  }
}

function readAnchors(file: string, url: URL): string {
  return read(file, (why) => {
    throw new Failure(
      EXIT.unavailable,
      `the control plane at ${url.origin} cannot be verified without its trust anchors: ${why}`,
      [],
      `The server writes them to trust-anchors.pem in its data directory: start it with "sluice server", or name the file with --trust-anchors or ${CLIENT_VARIABLES.trustAnchors}.`,
    );
  });
}

function unreachable(error: Error, { url, trustAnchors }: ClientSettings): Failure {
  const { code = '', name, message } = error as NodeJS.ErrnoException;
  const why = REASONS[code] ?? (name === 'TimeoutError' ? 'it did not answer in time' : message.split('\n', 1)[0]);
  if (/^(?!ERR_SSL).*(CERT|SIGNATURE|ISSUER)/.test(code)) {
    return new Failure(
      EXIT.unavailable,
      `what answers at ${url.origin} is not the control plane of ${trustAnchors}: ${why}`,
      [],
      `Name the trust anchors of that mesh with --trust-anchors or ${CLIENT_VARIABLES.trustAnchors}, or another address with --url or ${CLIENT_VARIABLES.url}.`,
    );
  }
  return new Failure(
    EXIT.unavailable,
    `the control plane cannot be reached at ${url.origin}: ${why}`,
    [],
    `Start it with "sluice server", or say where it is with --url or ${CLIENT_VARIABLES.url}.`,
  );
}

const REASONS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nothing listens there',
  ECONNRESET: 'the connection was cut',
  ENOTFOUND: 'there is no such host',
  EHOSTUNREACH: 'there is no way to that host',
  EPROTO: 'it does not speak HTTPS',
  ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED: 'it asks for a certificate, as the port of sidecars does',
  ERR_SSL_WRONG_VERSION_NUMBER: 'it does not speak HTTPS',
  CERT_HAS_EXPIRED: 'its certificate has expired',
  SELF_SIGNED_CERT_IN_CHAIN: 'its certificate was issued by another authority',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'its certificate was issued by another authority',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'its certificate was issued by another authority',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'its certificate was issued by another authority',
  CERT_SIGNATURE_FAILURE: 'its certificate was issued by another authority',
  ERR_TLS_CERT_ALTNAME_INVALID: 'its certificate stands for other host names (the server has --server-names)',
};

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const isProblem = (body: unknown): body is Problem =>
  typeof body === 'object' && body !== null && 'type' in body && 'title' in body && 'detail' in body;
