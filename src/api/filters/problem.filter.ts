/** Turns whatever was thrown into a problem document. What was not meant for the caller goes to the log alone. */
import {
  Catch,
  HttpException,
  ServiceUnavailableException,
  type ArgumentsHost,
  type ExceptionFilter,
} from '@nestjs/common';
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import { MeshError } from '../../model/mesh-error.js';
import { PROBLEM_CONTENT_TYPE, problemOf } from '../problem.js';

/** For what happens inside of Nest. */
@Catch()
export class ProblemFilter implements ExceptionFilter {
  catch(error: unknown, host: ArgumentsHost): void {
    const http = host.switchToHttp();
    void sendProblem(error, http.getRequest<FastifyRequest>(), http.getResponse<FastifyReply>());
  }
}

/** For what happens before Nest is asked: no token, a body that cannot be read, a path that cannot be decoded. */
export function sendProblem(error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const refusal = refusalOf(error, request);
  if (refusal.code === 'internal' || refusal.cause) request.log.error({ err: refusal.cause ?? error }, refusal.message);
  if (refusal.code === 'unauthenticated') void reply.header('www-authenticate', 'Bearer realm="sluice"');
  if (refusal.code === 'method-not-allowed')
    void reply.header('allow', (refusal.extensions['allow'] as string[]).join(', '));
  if (refusal.code === 'store-unavailable' || refusal.code === 'not-ready') void reply.header('retry-after', '5');
  const problem = problemOf(refusal, request.id);
  return reply.code(problem.status).type(PROBLEM_CONTENT_TYPE).send(JSON.stringify(problem));
}

function refusalOf(error: unknown, { method, url, server }: FastifyRequest): MeshError {
  // Nest wraps what Fastify throws, and has no other refusal of its own than that a path leads nowhere.
  const thrown = error instanceof HttpException && error.cause ? error.cause : error;
  if (thrown instanceof MeshError) return thrown;
  if (thrown instanceof ServiceUnavailableException) return notReady(thrown);
  const { code = '', statusCode } = thrown as Partial<FastifyError>;
  const known = FASTIFY[code];
  if (known) return known(url);
  const status = thrown instanceof HttpException ? thrown.getStatus() : statusCode;
  if (status === undefined || status < 400 || status >= 500) {
    return new MeshError('internal', 'the control plane failed; its log says why');
  }
  const path = url.split('?', 1)[0] ?? '';
  const allow = server.methodsOf(path);
  if (allow.length > 0 && !allow.includes(method)) {
    return new MeshError('method-not-allowed', `${path} takes ${allow.join(', ')}, not ${method}`, [], { allow });
  }
  // The files of the documentation say 403 of a path that climbs out of their folder: there is nothing for anybody.
  if (status === 403 || status === 404 || status === 405) {
    return MeshError.notFound(`operation ${method} ${path}; /docs lists those that there are`);
  }
  return MeshError.invalid([{ pointer: '', detail: 'the request is not one that can be answered' }]);
}

/** What Terminus found, as a problem: what is wrong, and with what. */
function notReady(error: ServiceUnavailableException): MeshError {
  const { error: checks = {} } = error.getResponse() as { error?: Readonly<Record<string, { fault?: string }>> };
  const faults = Object.entries(checks).map(([name, { fault = 'it is down' }]) => `${name}: ${fault}`);
  return new MeshError('not-ready', faults.join('; '), [], { checks });
}

const bodyFault = (detail: string): MeshError => MeshError.invalid([{ pointer: '', detail }]);

/** Fastify's refusals, by its codes. */
const FASTIFY: Readonly<Record<string, (url: string) => MeshError>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: (url) => new MeshError('too-large', `the body must have at most ${limitOf(url)} bytes`),
  FST_ERR_CTP_INVALID_MEDIA_TYPE: () =>
    new MeshError('unsupported-media-type', 'send the body as JSON, with "Content-Type: application/json"'),
  FST_ERR_CTP_EMPTY_JSON_BODY: () => bodyFault('the body is empty; it must be a JSON object'),
  FST_ERR_CTP_INVALID_JSON_BODY: () => bodyFault('the body is not valid JSON; check its quotes, commas and brackets'),
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: () => bodyFault('the body does not have the length that Content-Length says'),
  FST_ERR_BAD_URL: () => MeshError.invalid([{ detail: 'the path is not percent-encoded correctly' }]),
};

/** The largest body that is read, in bytes. */
export const BODY_LIMIT = 1024 * 1024;

/** Where sets of documents are taken, and the largest of them, in bytes. */
export const CHANGE_SETS = '/v1/change-sets';
export const CHANGE_SET_LIMIT = 8 * BODY_LIMIT;

const limitOf = (url: string): number => (url.split('?', 1)[0] === CHANGE_SETS ? CHANGE_SET_LIMIT : BODY_LIMIT);
