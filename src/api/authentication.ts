/** Nobody is heard without a token, except on the few paths that say nothing of the mesh. */
import type { Socket } from 'node:net';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { MeshError } from '../model/mesh-error.js';
import type { ApiTokenStore } from '../store/api-token-store.js';
import type { OpenRequests } from './open-requests.js';

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
  /** Aborted when the caller has hung up, or has its answer; with a refusal for a reason when its token has ended. */
  readonly signal: AbortSignal;
}

/** The description of the API with what is needed to read it: no operations of ours, which say so themselves. */
const PUBLIC = [/^\/openapi\.json$/, /^\/docs(\/|$)/];

/** No request lasts longer, in milliseconds: the end of a token that ends later is nothing to it. */
const LONGEST_REQUEST_MS = 3_600_000;

/** Asks for a token before a body is read and before it is known whether the path leads anywhere. */
export function requireToken(
  server: FastifyInstance,
  tokens: ApiTokenStore,
  requests: OpenRequests,
  proved: (socket: Socket) => void,
): void {
  tokens.onRevoke((id) => requests.endOf(id, tokenEnded()));
  server.decorateRequest('caller');
  server.addHook('onRequest', async (request, reply) => {
    const path = request.url.split('?', 1)[0] ?? '';
    if (request.routeOptions.config.public || PUBLIC.some((pattern) => pattern.test(path))) return;
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
    proved(request.raw.socket);
    const { signal, fail, over } = requests.inNameOf(token.id);
    const left = token.expiresAt === undefined ? Infinity : Date.parse(token.expiresAt) - Date.now();
    const end = left < LONGEST_REQUEST_MS ? setTimeout(() => fail(tokenEnded()), left) : undefined;
    // The signal of Fastify's requests is aborted as soon as a body has been read.
    reply.raw.once('close', () => {
      clearTimeout(end);
      over();
    });
    request.caller = { author: token.name, signal };
  });
}

const tokenEnded = (): MeshError =>
  new MeshError('unauthenticated', 'the token has expired or was revoked meanwhile; what was changed stands');

/** Who sends `request`. Throws `unauthenticated`. */
export function callerOf({ caller }: ApiRequest): Caller {
  if (caller === undefined) throw new MeshError('unauthenticated', 'send a token');
  return caller;
}
