/** What became of each object, asked for while everybody else is at work: answers are kept for as long as they must be the same. */
import { printRef, refOf, type Document } from '../model/document.js';
import type { Engine } from '../stream/engine.js';
import { conditionsOf, type Condition } from './conditions.js';
import type { Fleet } from './fleet.js';
import type { Receipt } from './receipt.js';
import type { Receipts } from './receipts.js';

/** A receipt that was given, and when it is out of date. */
interface Kept {
  readonly receipt: Receipt;
  /** What the counters stood at that it depends on. */
  readonly stamp: string;
}

const MAX_KEPT = 10_000;

export class Status {
  private readonly kept = new Map<string, Kept>();
  private progress = 0;

  constructor(
    private readonly engine: Engine,
    private readonly fleet: Fleet,
    private readonly receipts: Receipts,
  ) {
    engine.onProgress(() => (this.progress += 1));
  }

  /** Returns when what is told here is that of every change made before; or soon. */
  caughtUp(): Promise<void> {
    return this.engine.caughtUp();
  }

  /** The conditions of an object. */
  conditionsOf(document: Document): Condition[] {
    const ref = refOf(document);
    return conditionsOf(this.engine.table.problemsOf(ref), this.receiptOf(document));
  }

  private receiptOf(document: Document): Receipt {
    const { revision } = document.metadata;
    const key = `${printRef(refOf(document))} ${revision}`;
    const kept = this.kept.get(key);
    if (kept && kept.stamp === this.stampOf(revision, kept.receipt)) return kept.receipt;
    const receipt = this.receipts.ofObject(refOf(document), revision);
    this.kept.delete(key);
    if (receipt.sequence !== undefined) this.kept.set(key, { receipt, stamp: this.stampOf(revision, receipt) });
    const [oldest] = this.kept.keys();
    if (this.kept.size > MAX_KEPT && oldest !== undefined) this.kept.delete(oldest);
    return receipt;
  }

  /** Who serves a revision goes on to do so: only somebody who comes, goes or asks for more changes what all serve. Facts are of their moment. */
  private stampOf(revision: number, { serving, affected }: Receipt): string {
    const { table, subscriptions } = this.engine;
    const steady = `${this.fleet.changes} ${subscriptions}`;
    if (revision === 0) return `${steady} ${this.progress} ${table.sequence}`;
    return serving === affected ? steady : `${steady} ${this.progress}`;
  }
}
