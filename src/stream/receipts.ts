/** Waits for proxies to serve a revision. */
import type { Mesh } from '../model/mesh.js';
import { MeshError } from '../model/mesh-error.js';
import type { Fleet } from './fleet.js';
import { isHopeless, isMet, receiptOf, type Receipt, type Target } from './receipt.js';

/** Callers that may wait at the same time before further ones are refused. */
const MAX_WAITING = 1_000;

/** Somebody who waits. */
interface Waiter {
  readonly revision: number;
  /** Takes a look at the receipt as it stands. */
  readonly look: (receipt: Receipt) => void;
}

export class Receipts {
  private readonly waiters = new Set<Waiter>();
  private looking: NodeJS.Immediate | undefined;

  constructor(
    private readonly fleet: Fleet,
    private readonly mesh: () => Mesh,
  ) {
    fleet.onChange(() => {
      if (this.waiters.size > 0) this.looking ??= setImmediate(() => this.lookForAll());
    });
  }

  /** How many callers wait. */
  get waiting(): number {
    return this.waiters.size;
  }

  now(revision: number): Receipt {
    return receiptOf(revision, this.fleet.proxies(this.mesh()));
  }

  /**
   * Waits until as many proxies as `target` asks for serve `revision`, and gives the receipt. Throws
   * `not-applied-in-time` after `timeoutMs`, or when `signal` says that nobody listens any more, and `refused-by-proxy`
   * as soon as refusals put the target out of reach; both carry the receipt. The change itself stands either way.
   */
  async wait(revision: number, target: Target, timeoutMs: number, signal?: AbortSignal): Promise<Receipt> {
    const crowded = this.waiters.size >= MAX_WAITING;
    const receipt = await this.settled(revision, target, crowded ? 0 : timeoutMs, signal);
    if (isMet(receipt, target)) return receipt;
    const hopeless = isHopeless(receipt, target);
    const told = explain(receipt, target);
    const detail = crowded && !hopeless ? `${MAX_WAITING} callers are waiting already. ${told}` : told;
    throw new MeshError(hopeless ? 'refused-by-proxy' : 'not-applied-in-time', detail, [], { revision, receipt });
  }

  /** The receipt as it stands when the target is met or out of reach, or when the time is over. */
  private settled(revision: number, target: Target, timeoutMs: number, signal?: AbortSignal): Promise<Receipt> {
    const isOver = (receipt: Receipt): boolean => isMet(receipt, target) || isHopeless(receipt, target);
    const first = this.now(revision);
    if (isOver(first) || timeoutMs === 0 || signal?.aborted) return Promise.resolve(first);
    return new Promise((resolve) => {
      const end = (receipt: Receipt): void => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', giveUp);
        this.waiters.delete(waiter);
        resolve(receipt);
      };
      const look = (receipt: Receipt): void => {
        if (isOver(receipt)) end(receipt);
      };
      const waiter: Waiter = { revision, look };
      const giveUp = (): void => end(this.now(revision));
      const timer = setTimeout(giveUp, timeoutMs);
      signal?.addEventListener('abort', giveUp);
      this.waiters.add(waiter);
    });
  }

  /** Looks once for all who wait, and once for each revision that they wait for: acknowledgements come in their thousands. */
  private lookForAll(): void {
    this.looking = undefined;
    const proxies = this.fleet.proxies(this.mesh());
    const waiting = Map.groupBy(this.waiters, ({ revision }) => revision);
    for (const [revision, waiters] of waiting) {
      const receipt = receiptOf(revision, proxies);
      for (const { look } of waiters) look(receipt);
    }
  }
}

/** Names at most this many proxies in a sentence; the receipt has them all. */
const NAMED = 5;

function explain({ revision, proxies, serving, laggards }: Receipt, target: Target): string {
  const asked = 'proxies' in target && target.proxies > proxies ? `; ${target.proxies} were asked for` : '';
  const named = laggards.slice(0, NAMED).map(({ proxy, detail }) => `${proxy} (${detail})`);
  const more = laggards.length > NAMED ? ` and ${laggards.length - NAMED} more` : '';
  const behind = named.length > 0 ? `; not yet: ${named.join(', ')}${more}` : '';
  return (
    `revision ${revision} is committed, and ${serving} of ${proxies} proxies serve it${asked}${behind}.` +
    ` Its receipt goes on being kept: GET /v1/revisions/${revision}/receipt`
  );
}
