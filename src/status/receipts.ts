/** Tells which proxies serve a revision, and waits for them. */
import type { Compiler } from '../compile/compiler.js';
import { printRef, type Ref } from '../model/document.js';
import { MeshError } from '../model/mesh-error.js';
import type { Engine } from '../stream/engine.js';
import type { Fleet } from './fleet.js';
import type { Written } from './history.js';
import {
  isHopeless,
  isMet,
  receiptOf,
  shortfall,
  unpublished,
  type Account,
  type LostMode,
  type NoEffect,
  type Receipt,
  type Target,
} from './receipt.js';
import type { Effect, Ring } from './ring.js';
import { isMadeOf } from './remnants.js';
import { WaitingRoom } from './waiting-room.js';
import { Watch } from './watch.js';

/** Callers that may wait at the same time before further ones are refused: of all tokens, of each, and of one that has few. */
const ROOM = { places: 1_000, each: 500, reserve: 100, few: 10 };
/** Receipts of the time before the server started that are kept at hand. */
const MAX_REMEMBERED = 1_000;

/** What somebody waits for. */
export interface Wish {
  readonly target: Target;
  readonly lost: LostMode;
}

/** What is known of a revision that the ring does not know any more. */
interface Remembered extends Written {
  /** The first sequence that was known to hold it when it was first asked for: whoever waits, waits for no later one. */
  readonly sequence: number;
}

export class Receipts {
  private readonly remembered = new Map<number, Remembered>();
  private readonly watch: Watch;
  private readonly room = new WaitingRoom(ROOM);

  /** @param history what the revision of that number wrote; it throws `gone` when nobody knows any more */
  constructor(
    private readonly engine: Engine,
    private readonly ring: Ring,
    private readonly fleet: Fleet,
    private readonly history: (revision: number) => Promise<Written>,
    elapsed: () => number = () => performance.now(),
  ) {
    this.watch = new Watch(engine, fleet, elapsed);
  }

  /** How many callers wait. */
  get callers(): number {
    return this.room.size;
  }

  /** The receipt of `revision` as it stands. Throws `gone` when nothing is known of it any more. */
  async now(revision: number, lost: LostMode = 'ignore'): Promise<Receipt> {
    await this.recall(revision);
    return this.stand(revision, this.effectOf(revision), lost).receipt;
  }

  /**
   * The receipt of an object that `revision` put in place, as it stands: of what that changed, and of what has come since, by other
   * objects, to be made of this one as well.
   */
  ofObject(ref: Ref, revision: number): Receipt {
    if (revision === 0) return this.stand(0, this.newestOf(ref), 'ignore').receipt;
    const effect = this.ring.of(revision) ?? this.vague(revision, this.asOfNow(revision, { put: [ref], removed: [] }));
    return this.stand(revision, effect && this.sinceThen(effect, [ref]), 'ignore').receipt;
  }

  /**
   * Waits until as many proxies as `wish` asks for serve `revision`, and gives the receipt. Throws
   * `not-applied-in-time` after `timeoutMs`, or when `signal` says that nobody listens any more, and `refused-by-proxy`
   * as soon as refusals put the target out of reach; both carry the receipt. The change itself stands either way. Throws
   * `gone` as `now` does. Places are shared by `author`: who finds none gets the receipt as it stands. With `objects`, what
   * the revision put in place is waited for as `ofObject` gives it.
   */
  async wait(
    revision: number,
    wish: Wish,
    timeoutMs: number,
    signal?: AbortSignal,
    author = '',
    objects: readonly Ref[] = [],
  ): Promise<Receipt> {
    const { target } = wish;
    const forget = this.ring.remember(revision);
    const { account, crowded } = await this.settled(
      revision,
      { ...wish, objects },
      { timeoutMs, signal, author },
    ).finally(forget);
    const { receipt } = account;
    if (isMet(receipt, target)) return receipt;
    const hopeless = isHopeless(account, target);
    const told = explain(receipt, target);
    const detail = crowded !== undefined && !hopeless ? `${crowded}. ${told}` : told;
    throw new MeshError(hopeless ? 'refused-by-proxy' : 'not-applied-in-time', detail, [], { revision, receipt });
  }

  close(): void {
    this.watch.close();
  }

  /** How it stands when the target is met or out of reach, or when the time is over; or now, if there is no place to wait. */
  private async settled(
    revision: number,
    { target, lost, objects }: Wish & { readonly objects: readonly Ref[] },
    { timeoutMs, signal, author }: { timeoutMs: number; signal: AbortSignal | undefined; author: string },
  ): Promise<{ readonly account: Account; readonly crowded?: string }> {
    await this.recall(revision);
    const effectNow = (): Effect | undefined => {
      const effect = this.effectOf(revision);
      return effect && this.sinceThen(effect, objects);
    };
    const look = (): Account => this.stand(revision, effectNow(), lost);
    const isOver = (account: Account): boolean => isMet(account.receipt, target) || isHopeless(account, target);
    const first = look();
    if (isOver(first) || timeoutMs === 0 || signal?.aborted) return { account: first };
    const crowded = this.room.refusalOf(author);
    if (crowded !== undefined) return { account: first, crowded };
    this.room.enter(author);
    try {
      return await new Promise((resolve) => {
        const end = (account: Account): void => {
          clearTimeout(timer);
          signal?.removeEventListener('abort', giveUp);
          stop();
          resolve({ account });
        };
        const giveUp = (): void => end(look());
        const timer = setTimeout(giveUp, timeoutMs);
        signal?.addEventListener('abort', giveUp);
        const stop = this.watch.add({
          effect: effectNow,
          look: () => {
            const account = look();
            if (isOver(account)) end(account);
            return { missing: shortfall(account.receipt, target), hasAbsent: account.hasAbsent };
          },
        });
      });
    } finally {
      this.room.leave(author);
    }
  }

  private stand(revision: number, effect: Effect | undefined, lost: LostMode): Account {
    if (!effect) return unpublished(revision, this.engine.fault);
    const concerned = this.fleet.concernedBy(effect, this.engine.audience);
    const noEffect = effect.put.flatMap((ref) => noEffectOf(this.engine.table, ref));
    const revisionAt = (sequence: number): number => this.ring.revisionAt(sequence);
    return receiptOf(concerned, { revision, effect, noEffect, lost, revisionAt });
  }

  /** What `revision` changed, as far as it is known; undefined while it has not been published. */
  private effectOf(revision: number): Effect | undefined {
    const remembered = this.remembered.get(revision);
    return this.ring.of(revision) ?? (remembered && this.vague(revision, remembered));
  }

  /** `effect` with what has come since to be made of `objects`, without a change of theirs. */
  private sinceThen(effect: Effect, objects: readonly Ref[]): Effect {
    const joined = objects.flatMap((ref) => this.engine.table.joinedAfter(ref, effect.sequence));
    if (joined.length === 0) return effect;
    const names = new Map([...effect.names].map(([type, some]) => [type, new Set(some)]));
    const later = new Map<string, number>();
    for (const { type, name, since } of joined) {
      const some = names.get(type) ?? new Set();
      names.set(type, some.add(name));
      later.set(`${type} ${name}`, Math.max(since, later.get(`${type} ${name}`) ?? 0));
    }
    return { ...effect, names, later };
  }

  /** A fact is no revision: of what it is a cause of, the newest is to be in force. */
  private newestOf(ref: Ref): Effect {
    const names = this.namesOf([ref]);
    let sequence = this.ring.beginning;
    for (const [type, some] of names)
      for (const name of some) sequence = Math.max(sequence, this.engine.table.get(type, name)?.since ?? 0);
    return { revision: 0, sequence, names, remnants: new Map(), put: [ref], isVague: false };
  }

  /** Has at hand what the ring has forgotten. */
  private async recall(revision: number): Promise<void> {
    if (this.ring.of(revision) || revision > this.ring.head || this.remembered.has(revision)) return;
    this.remembered.set(revision, this.asOfNow(revision, await this.history(revision)));
    const [oldest] = this.remembered.keys();
    if (this.remembered.size > MAX_REMEMBERED && oldest !== undefined) this.remembered.delete(oldest);
  }

  private asOfNow(revision: number, written: Written): Remembered {
    return { ...written, sequence: this.ring.heldSince(revision) };
  }

  /**
   * What is left of a revision that the ring does not know any more: the resources that what it wrote is a cause of, and what was
   * made of that and is in force somewhere although there is something else by now, or nothing.
   */
  private vague(revision: number, { sequence, put, removed }: Remembered): Effect | undefined {
    if (revision > this.ring.head) return undefined;
    const written = [...put, ...removed];
    const remnants = this.fleet.remnants(
      (client) => client.outdated(),
      (remnant) => isMadeOf(remnant, written),
    );
    return { revision, sequence, names: this.namesOf(written), remnants, put, isVague: true };
  }

  private namesOf(refs: readonly Ref[]): Effect['names'] {
    const resources = refs.flatMap((ref) => this.engine.table.resourcesOf(ref));
    const byType = Map.groupBy(resources, ({ type }) => type);
    return new Map([...byType].map(([type, some]) => [type, new Set(some.map(({ name }) => name))]));
  }
}

/** Why an object does nothing, if it does nothing. */
export const noEffectOf = (compiler: Pick<Compiler, 'problemsOf'>, ref: Ref): NoEffect[] => {
  const problems = compiler.problemsOf(ref).filter(({ effect }) => effect === 'None');
  return problems.map(({ reason, message }) => ({ ref, reason, message }));
};

/** Names at most this many proxies in a sentence; the receipt has more. */
const NAMED = 5;

function explain({ revision, affected, laggards, why, noEffect = [] }: Receipt, target: Target): string {
  const asked = 'proxies' in target && target.proxies > affected ? `; ${target.proxies} were asked for` : '';
  const named = laggards.slice(0, NAMED).map(({ proxy, detail }) => `${proxy} (${detail})`);
  const more = laggards.length > NAMED ? ` and ${laggards.length - NAMED} more` : '';
  const behind = named.length > 0 ? `; not yet: ${named.join(', ')}${more}` : '';
  const idle = noEffect.map(({ ref, message }) => `; ${printRef(ref)} does nothing as the mesh stands: ${message}`);
  return (
    `revision ${revision} is committed, and ${why}${asked}${behind}${idle.join('')}.` +
    ` Its receipt goes on being kept: GET /v1/revisions/${revision}/receipt`
  );
}
