/** The HTTP server as this API wants it: its bounds, and an answer of our own even to what is no request. */
import { randomUUID } from 'node:crypto';
import { maxHeaderSize, STATUS_CODES, type IncomingHttpHeaders } from 'node:http';
import type { Socket } from 'node:net';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { MeshError, type MeshErrorCode } from '../model/mesh-error.js';
import { readJsonBodies } from './json-body.js';
import { BODY_LIMIT, CHANGE_SETS, CHANGE_SET_LIMIT, sendProblem } from './filters/problem.filter.js';
import { PROBLEM_CONTENT_TYPE, problemOf } from './problem.js';
import { noteRoutes } from './routes.js';

type Options = ConstructorParameters<typeof FastifyAdapter>[0];

/** The adapter with `options`, which are those of Fastify, and with what no operation can say for itself. */
export function httpAdapter(options: object) {
  const adapter = new FastifyAdapter({
    ...options,
    bodyLimit: BODY_LIMIT,
    // No name in a path is too long for the router: it is the rule of names that answers.
    routerOptions: { maxParamLength: maxHeaderSize },
    frameworkErrors: (error: unknown, request: FastifyRequest, reply: FastifyReply) =>
      void sendProblem(error, request, reply),
    clientErrorHandler: answerNoRequest,
  } as Options);
  const server: FastifyInstance = adapter.getInstance();
  noteRoutes(server);
  server.addHook('onRoute', (route) => {
    // A thousand documents are more than one.
    if (route.url === CHANGE_SETS) route.bodyLimit = CHANGE_SET_LIMIT;
  });
  readJsonBodies(server);
  server.addHook('onRequest', async ({ method, headers, raw, url }, reply) => {
    if (NEED_NO_BODY.has(method) && isEmpty(headers)) delete headers['content-type'];
    // What the API says is of this moment and for this caller; a token above all is in no cache.
    if (url.startsWith('/v1/')) void reply.header('cache-control', 'no-store');
    // Whoever stands between would take the one for true and this server the other.
    if (raw.rawHeaders.filter((name, at) => at % 2 === 0 && name.toLowerCase() === 'host').length > 1) {
      throw MeshError.invalid([{ detail: 'the request names two hosts; send one Host header' }]);
    }
  });
  return adapter;
}

const NEED_NO_BODY: ReadonlySet<string> = new Set(['GET', 'HEAD', 'DELETE']);

/** The type of a body that there is not says nothing; Fastify would read the body all the same, and miss it. */
const isEmpty = (headers: IncomingHttpHeaders): boolean =>
  headers['transfer-encoding'] === undefined && (headers['content-length'] ?? '0') === '0';

/** What Node can say of what it could not read as a request. */
interface ClientError extends Error {
  readonly code?: string;
}

/** Called with a connection on which something came that is no request; there is nothing but its socket to answer on. */
function answerNoRequest(this: FastifyInstance, error: ClientError, socket: Socket): void {
  if (error.code === 'ECONNRESET' || socket.destroyed) return;
  const id = randomUUID();
  const { code, status, title, detail } = REFUSALS[error.code ?? ''] ?? NO_REQUEST;
  this.log.info({ request: id, status, code: error.code }, 'no request');
  if (!socket.writable) return void socket.destroy();
  const body = JSON.stringify({ ...problemOf(new MeshError(code, detail), id), status, title });
  socket.write(
    [
      `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
      `Content-Type: ${PROBLEM_CONTENT_TYPE}`,
      `Content-Length: ${Buffer.byteLength(body)}`,
      'Connection: close',
      '',
      body,
    ].join('\r\n'),
  );
  // What else is coming on it cannot be told apart.
  socket.destroySoon();
}

interface Refusal {
  readonly code: MeshErrorCode;
  readonly status: number;
  readonly title: string;
  readonly detail: string;
}

const NO_REQUEST: Refusal = {
  code: 'invalid',
  status: 400,
  title: 'This is no request',
  detail: 'send a request as HTTP/1.1 has it, with a method that there is',
};

/** By the codes of Node. */
const REFUSALS: Readonly<Record<string, Refusal>> = {
  HPE_HEADER_OVERFLOW: {
    code: 'too-large',
    status: 431,
    title: 'The head of the request is too large',
    detail: `the path, its query and the headers must have at most ${maxHeaderSize} bytes together`,
  },
  ERR_HTTP_REQUEST_TIMEOUT: {
    code: 'invalid',
    status: 408,
    title: 'The request did not arrive in time',
    detail: 'send the whole request at once',
  },
};
