/** The facts: where workloads are and how they fare, as their sidecars report it. They come thick, and are no revisions. */
import { canonicalJson } from '../model/canonical-json.js';
import { keyOf } from '../model/document.js';
import { MeshError } from '../model/mesh-error.js';
import type { Labels } from '../model/names.js';
import type { Change } from '../model/revision.js';
import { upgradedWorkload, type Workload, type WorkloadSpec } from '../model/workload.js';
import type { Database } from './database.js';
import { FactRow } from './entities.js';
import type { SqlRevisionLog } from './revision-log.js';

/** What the sidecar of one enrolment says of its workload. */
export interface Fact {
  readonly enrolment: string;
  readonly namespace: string;
  readonly name: string;
  readonly labels: Labels;
  readonly spec: WorkloadSpec;
  /** ISO 8601, UTC, milliseconds. */
  readonly reportedAt: string;
}

interface KeptFact extends Fact {
  /** When there first was something of that name. */
  readonly createdAt: string;
}

type Place = Pick<Fact, 'namespace' | 'name'>;

/** Reports gather for so long before they are taken in together, in milliseconds; the first one after a quiet time at once. */
const GATHER_MS = 20;
/** How long to wait before another attempt when the database did not take facts. */
const RETRY_MS = 1_000;
/** Workloads that may have something new at the same time, before further ones are refused. */
const MAX_WAITING = 50_000;

/** Facts that are taken in together. The latest for a workload replaces one that waits; undefined takes it out. */
interface Batch {
  readonly facts: Map<string, { readonly place: Place; readonly fact: Fact | undefined }>;
  readonly kept: PromiseWithResolvers<void>;
}

export class Registry {
  readonly origin = 'sidecar';
  private readonly listeners = new Set<(event: { readonly changes: readonly Change[] }) => void>();
  private batch: Batch | undefined;
  private timer: NodeJS.Timeout | undefined;
  private writing: Promise<void> | undefined;
  private lastAt = 0;
  private closed = false;
  /** What the database does not have yet as it is in `facts`. */
  private readonly unsaved = new Map<string, Place>();

  private constructor(
    private readonly database: Database,
    private readonly facts: Map<string, KeptFact>,
  ) {}

  /** The facts of `database`. An eviction in `log` takes them out as well, in the same transaction. */
  static async open(database: Database, log: Pick<SqlRevisionLog, 'onChange'>): Promise<Registry> {
    const rows = await database.read((manager) => manager.find(FactRow));
    const registry = new Registry(database, new Map(rows.map((row) => [keyOf(row), factOf(row)])));
    log.onChange(({ changes }) => registry.evict(changes));
    return registry;
  }

  get documents(): Workload[] {
    return [...this.facts.values()].map(workloadOf);
  }

  /** Calls `listener`, which must not throw, whenever facts have become different. Returns what ends that. */
  onChange(listener: (event: { readonly changes: readonly Change[] }) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** What was last said of a workload, whether or not it has been taken in yet. */
  get(place: Place): Fact | undefined {
    const waiting = this.batch?.facts.get(keyOf(place));
    return waiting ? waiting.fact : this.facts.get(keyOf(place));
  }

  /** All that is known. */
  all(): Iterable<Fact> {
    return this.facts.values();
  }

  /**
   * Takes a report in, and settles when it is kept for good. It has its effect even while the database does not take it:
   * a workload that has fallen ill must get no calls. Throws `store-unavailable` then, and when too much waits.
   */
  put(fact: Fact): Promise<void> {
    return this.add(fact, fact);
  }

  /** Takes out what is known of a workload, and settles when it is gone for good. Throws `store-unavailable`. */
  remove(place: Place): Promise<void> {
    return this.add(place, undefined);
  }

  /** Waits for what was taken in to be kept. */
  async close(): Promise<void> {
    this.closed = true;
    clearTimeout(this.timer);
    await this.writing;
    await this.flush();
  }

  private add(place: Place, fact: Fact | undefined): Promise<void> {
    const key = keyOf(place);
    const known = this.batch?.facts.get(key);
    if (!known && !this.unsaved.has(key) && isSame(fact, this.facts.get(key))) return Promise.resolve();
    if (!known && (this.batch?.facts.size ?? 0) + this.unsaved.size >= MAX_WAITING) {
      return Promise.reject(new MeshError('store-unavailable', `${MAX_WAITING} reports are waiting; try again later`));
    }
    this.batch ??= newBatch();
    this.batch.facts.set(key, { place, fact });
    const { kept } = this.batch;
    this.schedule(Math.max(0, this.lastAt + GATHER_MS - performance.now()));
    return kept.promise;
  }

  /** At most one flush is under way, and at most one more is due. */
  private schedule(inMs: number): void {
    if (this.timer || this.writing || this.closed) return;
    this.timer = setTimeout(() => {
      this.timer = undefined;
      this.writing = this.flush().finally(() => {
        this.writing = undefined;
        if (this.batch) this.schedule(GATHER_MS);
        else if (this.unsaved.size > 0) this.schedule(RETRY_MS);
      });
    }, inMs);
  }

  private async flush(): Promise<void> {
    const { batch } = this;
    this.batch = undefined;
    this.lastAt = performance.now();
    if (batch) this.takeIn(batch);
    try {
      await this.save();
      batch?.kept.resolve();
    } catch (error) {
      batch?.kept.reject(error);
    }
  }

  /** The world is told before the database: what was reported is so, whatever becomes of the record of it. */
  private takeIn({ facts }: Batch): void {
    const changes = [...facts].flatMap(([key, { place, fact }]): Change[] => {
      const before = this.facts.get(key);
      const after = fact && { ...fact, createdAt: before?.createdAt ?? fact.reportedAt };
      if (isSame(after, before)) return [];
      this.unsaved.set(key, place);
      if (after) this.facts.set(key, after);
      else this.facts.delete(key);
      const ref = { kind: 'Workload', namespace: place.namespace, name: place.name } as const;
      return [{ ref, ...(before && { before: workloadOf(before) }), ...(after && { after: workloadOf(after) }) }];
    });
    if (changes.length > 0) for (const listener of this.listeners) listener({ changes });
  }

  private async save(): Promise<void> {
    if (this.unsaved.size === 0) return;
    const saved = await this.database.write(async (transaction) => {
      // As they are when their turn has come: some may have been evicted while they waited.
      const places = [...this.unsaved];
      const rows = places.flatMap(([key]) => this.facts.get(key) ?? []).map(rowOf);
      for (let from = 0; from < rows.length; from += ROWS) {
        await transaction.upsert(FactRow, rows.slice(from, from + ROWS), ['namespace', 'name']);
      }
      for (const [key, { namespace, name }] of places) {
        if (!this.facts.has(key)) await transaction.delete(FactRow, { namespace, name });
      }
      return places;
    }, 'members');
    for (const [key] of saved) this.unsaved.delete(key);
  }

  /** Somebody's revision takes a reported workload out; its transaction has done so in the database already. */
  private evict(changes: readonly Change[]): void {
    for (const { ref, before, after } of changes) {
      if (after || before?.metadata.origin !== 'sidecar') continue;
      const { namespace, name } = ref;
      this.facts.delete(keyOf(ref));
      this.batch?.facts.delete(keyOf(ref));
      // A report that is being written this very moment would bring it back.
      this.unsaved.set(keyOf(ref), { namespace, name });
      this.schedule(GATHER_MS);
    }
  }
}

/** How many rows one statement writes: databases bound the parameters of one. */
const ROWS = 500;

const newBatch = (): Batch => {
  const kept = Promise.withResolvers<void>();
  // Whoever reported may have hung up.
  kept.promise.catch(() => undefined);
  return { facts: new Map(), kept };
};

/** A report says something new only when it says something else; its time alone is nothing new. */
const isSame = (a: Fact | undefined, b: Fact | undefined): boolean =>
  a === b || (a !== undefined && b !== undefined && canonicalJson(saidBy(a)) === canonicalJson(saidBy(b)));

const saidBy = ({ enrolment, labels, spec }: Fact) => ({ enrolment, labels, spec });

function workloadOf({ namespace, name, labels, spec, createdAt, reportedAt }: KeptFact): Workload {
  const marks = { labels, annotations: {}, origin: 'sidecar', revision: 0 } as const;
  return { kind: 'Workload', metadata: { name, namespace, ...marks, createdAt, updatedAt: reportedAt }, spec };
}

const rowOf = ({ labels, spec, ...columns }: KeptFact) => ({
  ...columns,
  labels: canonicalJson(labels),
  spec: canonicalJson(spec),
});

const factOf = ({ labels, spec, ...columns }: FactRow): KeptFact => ({
  ...columns,
  labels: JSON.parse(labels) as Labels,
  spec: upgradedWorkload(JSON.parse(spec) as WorkloadSpec),
});
