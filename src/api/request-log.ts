/** One line for each request: who asked for what, what came of it, and how long that took. Never a header or a body. */
import type { FastifyInstance } from 'fastify';

export function requestLog(server: FastifyInstance): void {
  server.addHook('onResponse', async ({ method, url, caller, log }, reply) => {
    const path = url.split('?', 1)[0];
    log.info(
      { method, path, status: reply.statusCode, caller: caller?.author, ms: Math.round(reply.elapsedTime) },
      'request',
    );
  });
}
