/** Reads the query parameters that many operations share. Every fault at once; an unknown parameter is one. */
import { parseDuration } from '../model/duration.js';
import type { Fault } from '../model/fault.js';
import { MeshError } from '../model/mesh-error.js';
import { DEFAULT_WAIT, LONGEST_WAIT } from '../model/wait.js';
import { LOST_MODES, type LostMode, type Target } from '../status/receipt.js';
import { readFieldSelector, readLabelSelector, type Selects } from './selection.js';

const MAX_COMMENT = 1_000;
const DEFAULT_LIMIT = 100;
const MAX_LIMIT = 1_000;

export type Query = Readonly<Record<string, unknown>>;

export interface Wait {
  readonly target: Target;
  readonly lost: LostMode;
  readonly timeoutMs: number;
}

export interface ChangeQuery {
  readonly comment: string;
  readonly wait?: Wait;
  /** It is only told what it would come to. */
  readonly dryRun: boolean;
}

export interface PageQuery {
  readonly limit: number;
  /** The name, or the key, after which the page begins; empty for the first page. */
  readonly after: string;
}

/** `wait`, `timeout`, `lost`, `comment` and `dryRun` of a write. */
export function readChangeQuery(query: Query): ChangeQuery {
  const reader = new Reader(query);
  const change = readChange(reader);
  reader.finish();
  return change;
}

function readChange(reader: Reader): ChangeQuery {
  const lost = readLost(reader);
  const wait = readWait(reader, lost ?? 'ignore');
  if (lost && !wait) reader.fault('lost', 'it means nothing without wait; add wait=100%');
  const comment = reader.text('comment') ?? '';
  if (comment.length > MAX_COMMENT) reader.fault('comment', `it must have at most ${MAX_COMMENT} characters`);
  const dryRun = reader.text('dryRun');
  if (dryRun !== undefined && dryRun !== 'server') reader.fault('dryRun', 'it must be "server", or be left out');
  if (dryRun !== undefined && wait)
    reader.fault('wait', 'nothing is changed with dryRun, so there is nothing to wait for');
  return { comment, dryRun: dryRun !== undefined, ...(wait && { wait }) };
}

export interface ChangeSetQuery extends ChangeQuery {
  /** The hash of what was agreed to. */
  readonly plan?: string;
}

/** What a write takes, and `plan`. */
export function readChangeSetQuery(query: Query): ChangeSetQuery {
  const reader = new Reader(query);
  const change = readChange(reader);
  const plan = reader.text('plan');
  if (plan !== undefined && !/^[0-9a-f]{64}$/.test(plan)) reader.fault('plan', 'it must be the `hash` of a preview');
  reader.finish();
  return { ...change, ...(plan !== undefined && { plan }) };
}

export interface ForcibleQuery extends ChangeQuery {
  /** Removes what other objects name, too, and takes from workloads what policies protect. */
  readonly force: boolean;
}

/** What a write takes, and `force`. */
export function readForcibleQuery({ force, ...query }: Query): ForcibleQuery {
  if (force !== undefined && force !== 'true' && force !== 'false') {
    throw MeshError.invalid([{ parameter: 'force', detail: 'force: it must be true or false' }]);
  }
  return { ...readChangeQuery(query), force: force === 'true' };
}

/** What is asked of a receipt. */
export interface ReceiptQuery {
  readonly lost: LostMode;
  /** Absent: it is given as it stands. */
  readonly wait?: Wait;
}

/** `wait`, `timeout` and `lost` of a read. */
export function readReceiptQuery(query: Query): ReceiptQuery {
  const reader = new Reader(query);
  const lost = readLost(reader);
  const wait = readWait(reader, lost ?? 'ignore');
  reader.finish();
  return { lost: lost ?? 'ignore', ...(wait && { wait }) };
}

export interface RevisionPageQuery {
  readonly limit: number;
  /** The number before which the page begins; absent for the first page, which begins with the newest. */
  readonly before?: number;
}

/** `limit` and `cursor` of a list of names. */
export function readPageQuery(query: Query): PageQuery {
  const reader = new Reader(query);
  const page = readPage(reader);
  reader.finish();
  return page;
}

const readPage = (reader: Reader): PageQuery => ({
  limit: readLimit(reader),
  after: readCursor(reader, () => true) ?? '',
});

export interface ListQuery extends PageQuery {
  /** Absent: every object. */
  readonly selects?: Selects;
}

/** `limit`, `cursor`, `labelSelector` and `fieldSelector` of a list of documents. */
export function readListQuery(query: Query): ListQuery {
  const reader = new Reader(query);
  const page = readPage(reader);
  const chosen = Object.entries(SELECTORS).flatMap(([name, read]) => {
    const text = reader.text(name);
    const selector = text === undefined ? undefined : read(text);
    if (selector === undefined) return [];
    if ('selects' in selector) return selector.selects;
    reader.fault(name, selector.fault);
    return [];
  });
  reader.finish();
  if (chosen.length === 0) return page;
  return { ...page, selects: (document) => chosen.every((selects) => selects(document)) };
}

const SELECTORS = { labelSelector: readLabelSelector, fieldSelector: readFieldSelector };

/** `limit` and `cursor` of a list of revisions, which goes back in time. */
export function readRevisionPageQuery(query: Query): RevisionPageQuery {
  const reader = new Reader(query);
  const limit = readLimit(reader);
  const before = readCursor(reader, (text) => /^\d{1,15}$/.test(text));
  reader.finish();
  return { limit, ...(before !== undefined && { before: Number(before) }) };
}

/** For operations that take no parameter at all. */
export const readNoQuery = (query: Query): void => new Reader(query).finish();

/** What an answer gives as `next`, to be sent back as `cursor`. Opaque to clients. */
export const writeCursor = (after: string): string => Buffer.from(`after:${after}`).toString('base64url');

function readLimit(reader: Reader): number {
  const limit = reader.text('limit') ?? String(DEFAULT_LIMIT);
  if (!/^\d{1,4}$/.test(limit) || Number(limit) < 1 || Number(limit) > MAX_LIMIT) {
    reader.fault('limit', `it must be a whole number from 1 to ${MAX_LIMIT}`);
  }
  return Number(limit);
}

/** Where the page before ended, if this is not the first one. */
function readCursor(reader: Reader, isEnd: (text: string) => boolean): string | undefined {
  const cursor = reader.text('cursor');
  if (cursor === undefined) return undefined;
  const [, end] = /^after:(.*)$/s.exec(Buffer.from(cursor, 'base64url').toString()) ?? [];
  if (end !== undefined && isEnd(end)) return end;
  reader.fault('cursor', 'it must be the `next` of an earlier answer');
  return undefined;
}

/** Whether proxies that are lost are to be waited for; absent when that is not said. */
function readLost(reader: Reader): LostMode | undefined {
  const lost = reader.text('lost');
  const mode = LOST_MODES.find((known) => known === lost);
  if (lost !== undefined && !mode) reader.fault('lost', `it must be one of ${LOST_MODES.join(', ')}`);
  return mode;
}

function readWait(reader: Reader, lost: LostMode): Wait | undefined {
  const [wait, timeout] = [reader.text('wait'), reader.text('timeout')];
  const timeoutMs = parseDuration(timeout ?? DEFAULT_WAIT);
  if (timeoutMs === undefined || timeoutMs > (parseDuration(LONGEST_WAIT) ?? 0)) {
    reader.fault('timeout', `it must be a duration of at most ${LONGEST_WAIT}, such as ${DEFAULT_WAIT}`);
  }
  if (wait === undefined) {
    if (timeout !== undefined) reader.fault('timeout', 'it means nothing without wait; add wait=100%');
    return undefined;
  }
  const target = readTarget(wait);
  if (!target)
    reader.fault('wait', 'it must be a share of the proxies from 1% to 100%, or a number of them, such as 3');
  return target && { target, lost, timeoutMs: timeoutMs ?? 0 };
}

function readTarget(text: string): Target | undefined {
  const [, count = '', sign] = /^(\d{1,6})(%?)$/.exec(text) ?? [];
  if (count === '' || Number(count) < 1) return undefined;
  if (sign === '') return { proxies: Number(count) };
  return Number(count) <= 100 ? { percent: Number(count) } : undefined;
}

/** Takes parameters out one by one; what is left when it is finished was unknown. */
class Reader {
  private readonly faults: Fault[] = [];
  private readonly left: Map<string, unknown>;

  constructor(query: Query) {
    this.left = new Map(Object.entries(query));
  }

  text(name: string): string | undefined {
    const value = this.left.get(name);
    this.left.delete(name);
    if (value === undefined || typeof value === 'string') return value;
    this.fault(name, 'it must be given once');
    return undefined;
  }

  fault(name: string, detail: string): void {
    this.faults.push({ parameter: name, detail: `${name}: ${detail}` });
  }

  finish(): void {
    for (const name of this.left.keys()) this.fault(name, 'there is no such parameter here');
    if (this.faults.length > 0) throw MeshError.invalid(this.faults);
  }
}
