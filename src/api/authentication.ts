/** Nobody is heard without a token, except on the few paths that say nothing of the mesh. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { MeshError } from '../model/mesh-error.js';
import type { ApiTokenStore } from '../store/api-token-store.js';

export type ApiRequest = FastifyRequest;
export type ApiReply = FastifyReply;

declare module 'fastify' {
  interface FastifyRequest {
    /** Who sends the request, once that is known. */
    caller?: Caller;
  }
}

/** Who sends a request. */
export interface Caller {
  /** The name of the token that it came with, under which its changes are kept. */
  readonly author: string;
  /** Aborted when the caller has hung up, or has its answer. */
  readonly signal: AbortSignal;
}

/** Health, and the description of the API with what is needed to read it. */
const PUBLIC = [/^\/livez$/, /^\/readyz$/, /^\/openapi\.json$/, /^\/docs(\/|$)/, /^\/$/];

/** Asks for a token before a body is read and before it is known whether the path leads anywhere. */
export function requireToken(server: FastifyInstance, tokens: ApiTokenStore): void {
  server.decorateRequest('caller');
  server.addHook('onRequest', async (request, reply) => {
    const path = request.url.split('?', 1)[0] ?? '';
    if (PUBLIC.some((pattern) => pattern.test(path))) return;
    const [, text] = /^Bearer (\S+)$/i.exec(request.headers.authorization ?? '') ?? [];
    const token = text === undefined ? undefined : await tokens.authenticate(text);
    if (!token) {
      throw new MeshError(
        'unauthenticated',
        text === undefined
          ? 'send a token: "Authorization: Bearer ..."; the first one is in the file admin.token of the data directory'
          : 'the token is not known or has expired; make a new one with "sluice token create"',
      );
    }
    const over = new AbortController();
    // The signal of Fastify's requests is aborted as soon as a body has been read.
    reply.raw.once('close', () => over.abort());
    request.caller = { author: token.name, signal: over.signal };
  });
}

/** Who sends `request`. Throws `unauthenticated`. */
export function callerOf({ caller }: ApiRequest): Caller {
  if (caller === undefined) throw new MeshError('unauthenticated', 'send a token');
  return caller;
}
