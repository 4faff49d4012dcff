/** The requests that are being answered: so that those of a token end with it, and all of them before the server does. */
import { Injectable } from '@nestjs/common';
import type { FastifyInstance } from 'fastify';
import { MeshError } from '../model/mesh-error.js';

/** How long answers may take to go out that nothing holds up any more, in milliseconds. */
const FAREWELL_MS = 1_000;

@Injectable()
export class OpenRequests {
  private readonly all = new Set<object>();
  /** By the id of the token that they came with. */
  private readonly waits = new Map<string, Set<AbortController>>();
  private readonly listeners = new Set<() => void>();
  /** Whether the server takes nothing more on. */
  draining = false;

  /** Counts what `server` is asked, and takes nothing on while it drains, except questions after its health. */
  watch(server: FastifyInstance): void {
    server.addHook('onRequest', async (request, reply) => {
      if (this.draining) {
        void reply.header('connection', 'close');
        if (!request.routeOptions.config.health) throw stopping();
      }
      this.all.add(request);
      reply.raw.once('close', () => {
        this.all.delete(request);
        if (this.all.size === 0) for (const listener of this.listeners) listener();
      });
    });
  }

  /** Notes that a request is in the name of a token. What is given is aborted when that ends, or has to. */
  inNameOf(tokenId: string): {
    readonly signal: AbortSignal;
    readonly fail: (reason: Error) => void;
    readonly over: () => void;
  } {
    const over = new AbortController();
    const others = this.waits.get(tokenId) ?? new Set();
    this.waits.set(tokenId, others.add(over));
    return {
      signal: over.signal,
      fail: (reason) => over.abort(reason),
      over: () => {
        others.delete(over);
        if (others.size === 0 && this.waits.get(tokenId) === others) this.waits.delete(tokenId);
        over.abort();
      },
    };
  }

  /** Ends the requests that came with a token, as far as they wait. */
  endOf(tokenId: string, reason: Error): void {
    for (const request of this.waits.get(tokenId) ?? []) request.abort(reason);
  }

  /**
   * Takes nothing on any more, and is done when everything has been answered: within `forMs` by itself, after that
   * because nobody waits for proxies any longer. Whoever did is told what has become of the change.
   */
  async drain(forMs: number): Promise<void> {
    this.draining = true;
    if (await this.isIdle(forMs)) return;
    for (const request of [...this.waits.values()].flatMap((requests) => [...requests])) request.abort();
    await this.isIdle(FAREWELL_MS);
  }

  /** Whether nothing is being answered, now or within `ms`. */
  private isIdle(ms: number): Promise<boolean> {
    if (this.all.size === 0) return Promise.resolve(true);
    return new Promise((resolve) => {
      const end = (idle: boolean) => (): void => {
        clearTimeout(timer);
        this.listeners.delete(done);
        resolve(idle);
      };
      const done = end(true);
      const timer = setTimeout(end(false), ms);
      this.listeners.add(done);
    });
  }
}

const stopping = (): MeshError =>
  new MeshError('not-ready', 'the control plane is stopping and takes nothing on any more; ask again when it is back');
