/** A control plane without sockets, on a clock that is held, in the words of tests that look at receipts. */
import { afterEach, beforeEach, vi } from 'vitest';
import { TYPES } from '../../src/compile/resource.js';
import type { LostMode, Receipt, Target } from '../../src/status/receipt.js';
import { ModelPlane } from './model-plane.js';
import type { Sidecar } from './model-sidecar.js';

export const ALL: Target = { percent: 100 };

/** Longer than it takes to publish what was written, in milliseconds. */
const PUBLISHED_MS = 20;

export class HeldPlane {
  private current: ModelPlane | undefined;

  /** One for each test of the file that calls this. */
  static forEach(): HeldPlane {
    const held = new HeldPlane();
    beforeEach(() => {
      vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setImmediate', 'clearImmediate', 'Date'] });
      held.begin();
    });
    afterEach(() => {
      held.plane.close();
      vi.useRealTimers();
    });
    return held;
  }

  get plane(): ModelPlane {
    if (!this.current) throw new Error('it has not begun');
    return this.current;
  }

  /** Begins anew, with a plane of that kind. */
  begin(...kind: ConstructorParameters<typeof ModelPlane>): void {
    this.current?.close();
    this.current = new ModelPlane(...kind);
  }

  /** A sidecar that has a stream and has asked for these services, and has what there is of them. */
  connected = (id: string, ...services: readonly string[]): Sidecar => {
    const sidecar = this.plane.join(id);
    sidecar.connect();
    const names = services.map((service) => `${service}.shop:80`);
    for (const type of [TYPES.listener, TYPES.route]) sidecar.ask(type, names, []);
    answerAll(sidecar);
    return sidecar;
  };

  wait = (
    revision: number,
    target: Target = ALL,
    ms = 60_000,
    lost: LostMode = 'ignore',
    signal?: AbortSignal,
  ): Promise<Receipt> => this.plane.receipts.wait(revision, { target, lost }, ms, signal);
}

export const answerAll = (...sidecars: readonly Sidecar[]): void => {
  for (const sidecar of sidecars) while (sidecar.inbox.length > 0) sidecar.answer(0);
};

/** Lets what was written be published. */
export const published = (): Promise<unknown> => vi.advanceTimersByTimeAsync(PUBLISHED_MS);

/** How a wait ended; waiting: it has not. */
export const ended = async (waiting: Promise<unknown>): Promise<string> => {
  let how = 'waiting';
  waiting.then(
    () => (how = 'served'),
    ({ code }: { code: string }) => (how = code),
  );
  await vi.advanceTimersByTimeAsync(30);
  return how;
};
