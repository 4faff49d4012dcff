/** Waits for proxies to serve a revision. */
import type { Mesh } from '../model/mesh.js';
import { MeshError } from '../model/mesh-error.js';
import type { Fleet } from './fleet.js';
import { isHopeless, isMet, receiptOf, type Receipt, type Target } from './receipt.js';

/** Callers that may wait at the same time before further ones are refused. */
const MAX_WAITING = 1_000;

export class Receipts {
  private waiting = 0;

  constructor(
    private readonly fleet: Fleet,
    private readonly mesh: () => Mesh,
  ) {}

  now(revision: number): Receipt {
    return receiptOf(revision, this.fleet.proxies(this.mesh()));
  }

  /**
   * Waits until as many proxies as `target` asks for serve `revision`, and gives the receipt. Throws
   * `not-applied-in-time` after `timeoutMs`, and `refused-by-proxy` as soon as refusals put the target out of reach;
   * both carry the receipt. The change itself stands either way.
   */
  async wait(revision: number, target: Target, timeoutMs: number): Promise<Receipt> {
    if (this.waiting >= MAX_WAITING) {
      throw new MeshError(
        'not-applied-in-time',
        `${MAX_WAITING} callers are waiting already; ask for the receipt later`,
      );
    }
    this.waiting += 1;
    try {
      const receipt = await this.settled(revision, target, timeoutMs);
      if (isMet(receipt, target)) return receipt;
      const code = isHopeless(receipt, target) ? 'refused-by-proxy' : 'not-applied-in-time';
      throw new MeshError(code, explain(receipt), [], { revision, receipt });
    } finally {
      this.waiting -= 1;
    }
  }

  /** The receipt as it stands when the target is met or out of reach, or when the time is over. */
  private settled(revision: number, target: Target, timeoutMs: number): Promise<Receipt> {
    return new Promise((resolve) => {
      const look = (timeIsOver: boolean): void => {
        const receipt = this.now(revision);
        if (!timeIsOver && !isMet(receipt, target) && !isHopeless(receipt, target)) return;
        clearTimeout(timer);
        stop();
        resolve(receipt);
      };
      const timer = setTimeout(() => look(true), timeoutMs);
      const stop = this.fleet.onChange(() => look(false));
      look(false);
    });
  }
}

/** Names at most this many proxies in a sentence; the receipt has them all. */
const NAMED = 5;

function explain({ revision, proxies, serving, laggards }: Receipt): string {
  const named = laggards.slice(0, NAMED).map(({ proxy, detail }) => `${proxy} (${detail})`);
  const more = laggards.length > NAMED ? ` and ${laggards.length - NAMED} more` : '';
  return (
    `revision ${revision} is committed, and ${serving} of ${proxies} proxies serve it; not yet: ${named.join(', ')}${more}.` +
    ` Its receipt goes on being kept: GET /v1/revisions/${revision}/receipt`
  );
}
