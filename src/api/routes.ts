/** Which methods a path has: so that another one is told apart from a path that leads nowhere. */
import type { FastifyInstance } from 'fastify';

declare module 'fastify' {
  interface FastifyInstance {
    /** The methods that there are for `path`, which has no query; none if it leads nowhere. */
    methodsOf(path: string): readonly string[];
  }
}

/** Notes every route of `server` from now on. */
export function noteRoutes(server: FastifyInstance): void {
  const methods = new Map<string, { readonly pattern: RegExp; readonly names: Set<string> }>();
  server.addHook('onRoute', ({ url, method }) => {
    const route = methods.get(url) ?? { pattern: patternOf(url), names: new Set() };
    for (const name of [method].flat()) route.names.add(name);
    methods.set(url, route);
  });
  server.decorate('methodsOf', (path: string) => {
    const found = [...methods.values()].filter(({ pattern }) => pattern.test(path)).flatMap(({ names }) => [...names]);
    return [...new Set(found)].sort();
  });
}

const escaped = (text: string): string => text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&');

/** Names in a path are whatever stands between two slashes; a star is the rest. */
const patternOf = (url: string): RegExp =>
  new RegExp(
    `^${url
      .split(/(\*|:[^/]+)/)
      .map((part) => (part === '*' ? '.*' : part.startsWith(':') ? '[^/]+' : escaped(part)))
      .join('')}$`,
  );
