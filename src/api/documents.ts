/** The one way to read and change the documents of the mesh over REST, whatever their kind. */
import { Injectable } from '@nestjs/common';
import { API_VERSION, keyOf, printRef, type Document, type Draft, type Ref } from '../model/document.js';
import { pageOf } from '../model/in-order.js';
import { inSlices } from '../model/in-slices.js';
import { KINDS, type Kind } from '../model/kinds.js';
import { find } from '../model/mesh.js';
import { MeshError } from '../model/mesh-error.js';
import { tagOf } from '../model/precondition.js';
import { Changes, type Authorship, type Committed, type Plan } from '../changes/changes.js';
import type { Removal, Wish } from '../changes/plan.js';
import { Previews } from '../changes/preview.js';
import type { Receipt } from '../status/receipt.js';
import { Receipts } from '../status/receipts.js';
import { Status } from '../status/status.js';
import { Worlds } from '../world/fold.js';
import type { Caller } from './authentication.js';
import type { MadeChangeDto } from './change-set.dto.js';
import { madeChange, printPreview, type PreviewDto } from './preview.dto.js';
import { writeCursor, type ChangeQuery, type ChangeSetQuery, type ForcibleQuery, type ListQuery } from './query.js';

/** What a write came to. */
export interface ChangeResult {
  /** The revision that holds it: a new one, or the one that last changed the object if nothing changed now. */
  readonly revision: number;
  readonly changed: boolean;
  /** The object as it is now; absent when it was removed. */
  readonly document?: object;
  /** When the caller waited. */
  readonly receipt?: Receipt;
  /** When nothing was changed, and only told what it would come to. */
  readonly preview?: PreviewDto;
}

/** What many came to. */
export interface ChangeSetResult extends ChangeResult {
  readonly changes: readonly MadeChangeDto[];
}

interface Foretold extends ChangeResult, Pick<Plan, 'mesh'> {
  readonly preview: PreviewDto;
}

interface Tagged {
  /** Of the version of the object; facts have none. */
  readonly tag?: string;
}

/** How often to tell anew because the mesh was changed meanwhile, before giving up. */
const ATTEMPTS = 5;

const tagged = (document: Document): Tagged => {
  const tag = tagOf(document);
  return tag === undefined ? {} : { tag };
};

@Injectable()
export class Documents {
  constructor(
    private readonly worlds: Worlds,
    private readonly changes: Changes,
    private readonly receipts: Receipts,
    private readonly status: Status,
    private readonly previews: Previews,
  ) {}

  /** The object with its status, and what tells this version of it from others. Throws `not-found`. */
  async get(ref: Ref): Promise<Tagged & { readonly document: object }> {
    await this.status.caughtUp();
    const document = find(this.worlds.current.mesh, ref);
    if (!document) throw MeshError.notFound(printRef(ref));
    return { document: this.print(document), ...tagged(document) };
  }

  /** Objects of a kind, of one namespace or of all, in order of namespace and name. */
  async list(
    kind: Kind,
    query: ListQuery & { readonly namespace?: string },
  ): Promise<{ items: object[]; next?: string }> {
    await this.status.caughtUp();
    const { page, more } = pageOf(this.worlds.current.mesh[kind], query);
    const last = page.at(-1);
    const next = last && more ? { next: writeCursor(keyOf(last.metadata)) } : {};
    // What becomes of each is asked of every proxy that it concerns.
    return { items: await inSlices(page, (document) => this.print(document)), ...next };
  }

  /** Creates or replaces an object. `created` tells which. */
  async put(
    draft: Draft,
    caller: Caller,
    query: ChangeQuery & Partial<ForcibleQuery>,
  ): Promise<ChangeResult & Tagged & { readonly created: boolean }> {
    const by = { author: caller.author, comment: query.comment };
    const wish = { put: [draft], force: query.force ?? false };
    if (query.dryRun) {
      const { mesh, ...result } = await this.foretell(by, wish);
      const wished = find(mesh, draft);
      return { ...result, ...(wished && { document: shapeOf(wished) }), created: false };
    }
    const committed = await this.changes.commit(by, wish);
    const receipt = await this.waited(committed, query, caller, [draft]);
    await this.status.caughtUp();
    const document = find(committed.mesh, draft);
    return {
      ...this.result(committed, receipt),
      ...(document && { document: this.print(document), ...tagged(document) }),
      created: committed.changes.some(({ ref, before }) => ref.kind === draft.kind && !before),
    };
  }

  /** Removes an object. Throws `not-found`. */
  async remove(ref: Removal, caller: Caller, query: ForcibleQuery): Promise<ChangeResult> {
    const by = { author: caller.author, comment: query.comment };
    const wish = { remove: [ref], force: query.force };
    if (query.dryRun) {
      const { mesh: _, ...result } = await this.foretell(by, wish);
      return result;
    }
    const committed = await this.changes.commit(by, wish);
    return this.result(committed, await this.waited(committed, query, caller));
  }

  /**
   * Makes many changes as one revision, or none of them. With `plan`, only if they come to what that is the hash of: throws
   * `precondition-failed`, with what they would come to, if they do not.
   */
  async applySet(wish: Wish, caller: Caller, { plan: hash, ...query }: ChangeSetQuery): Promise<ChangeSetResult> {
    const by = { author: caller.author, comment: query.comment };
    if (query.dryRun) return this.foretold(by, wish, hash);
    try {
      const committed = await this.changes.apply({ by, wish, ...(hash !== undefined && { hash }) });
      const receipt = await this.waited(committed, query, caller, wish.put);
      return { ...this.result(committed, receipt), changes: committed.changes.map(madeChange) };
    } catch (error) {
      if (hash !== undefined && error instanceof MeshError && error.code === 'stale-revision')
        await this.foretold(by, wish, hash);
      throw error;
    }
  }

  /** What `wish` would come to. Throws `precondition-failed` if that is not what `hash` says. */
  private async foretold(by: Authorship, wish: Wish, hash: string | undefined): Promise<ChangeSetResult> {
    const { mesh: _, preview, ...result } = await this.foretell(by, wish);
    if (hash !== undefined && hash !== preview.hash) {
      throw new MeshError(
        'precondition-failed',
        'it comes to something else than was planned, because the mesh was changed since; see what it comes to now, and agree to that',
        [],
        { preview },
      );
    }
    return { ...result, preview, changes: preview.changes.map(({ ref, action }) => ({ ref, action })) };
  }

  /** What `wish` would come to, and the mesh that would be. Throws what `commit` throws. */
  private async foretell(by: Authorship, wish: Wish): Promise<Foretold> {
    for (let attempt = 1; ; attempt += 1) {
      const plan = this.changes.plan(by, wish);
      try {
        const preview = await this.previews.preview(plan);
        const changed = plan.changes.length > 0;
        return { revision: plan.base, changed, preview: printPreview(preview, plan.hash), mesh: plan.mesh };
      } catch (error) {
        // Somebody changed what it is about while it was tried.
        if (attempt === ATTEMPTS || !(error instanceof MeshError) || error.code !== 'stale-revision') throw error;
      }
    }
  }

  /**
   * Where nothing was changed, `wished` may have had its effect by other revisions, or not at all yet: then each of them is waited for
   * as it stands, within the time for all.
   */
  private async waited(
    { changed, revision, mesh }: Committed,
    { wait }: ChangeQuery,
    { signal, author }: Caller,
    wished: readonly Ref[] = [],
  ): Promise<Receipt | undefined> {
    if (!wait) return undefined;
    if (changed || wished.length === 0) return this.receipts.wait(revision, wait, wait.timeoutMs, signal, author);
    await this.status.caughtUp();
    const end = performance.now() + wait.timeoutMs;
    const byRevision = Map.groupBy(wished, (ref) => find(mesh, ref)?.metadata.revision ?? 0);
    let receipt: Receipt | undefined;
    for (const [number, refs] of [...byRevision].sort(([a], [b]) => a - b)) {
      const left = Math.max(0, end - performance.now());
      receipt = await this.receipts.wait(number, wait, left, signal, author, refs);
    }
    return receipt;
  }

  private result({ revision, changed }: Committed, receipt: Receipt | undefined): ChangeResult {
    return { revision, changed, ...(receipt && { receipt }) };
  }

  /** A document as it goes out, with its status. */
  private print(document: Document): object {
    return { ...shapeOf(document), status: { conditions: this.status.conditionsOf(document) } };
  }
}

/** The shape in which a document goes out, and also comes in. */
function shapeOf({ kind, metadata: { name, namespace, ...metadata }, spec }: Document): object {
  const place = { name, ...(KINDS[kind].namespaced && { namespace }) };
  return { apiVersion: API_VERSION, kind, metadata: { ...place, ...metadata }, spec };
}
