/** The one way to read and change the documents of the mesh over REST, whatever their kind. */
import { Injectable } from '@nestjs/common';
import { API_VERSION, keyOf, printRef, type Document, type Draft, type Ref } from '../model/document.js';
import { pageOf } from '../model/in-order.js';
import { inSlices } from '../model/in-slices.js';
import { KINDS, type Kind } from '../model/kinds.js';
import { find } from '../model/mesh.js';
import { MeshError } from '../model/mesh-error.js';
import { tagOf } from '../model/precondition.js';
import { Changes, type Committed } from '../changes/changes.js';
import type { Removal } from '../changes/plan.js';
import type { Receipt } from '../status/receipt.js';
import { Receipts } from '../status/receipts.js';
import { Status } from '../status/status.js';
import { Worlds } from '../world/fold.js';
import type { Caller } from './authentication.js';
import { writeCursor, type ChangeQuery, type DeletionQuery, type ListQuery } from './query.js';

/** What a write came to. */
export interface ChangeResult {
  /** The revision that holds it: a new one, or the one that last changed the object if nothing changed now. */
  readonly revision: number;
  readonly changed: boolean;
  /** The object as it is now; absent when it was removed. */
  readonly document?: object;
  /** When the caller waited. */
  readonly receipt?: Receipt;
}

interface Tagged {
  /** Of the version of the object; facts have none. */
  readonly tag?: string;
}

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
    query: ChangeQuery,
  ): Promise<ChangeResult & Tagged & { readonly created: boolean }> {
    const by = { author: caller.author, comment: query.comment };
    const committed = await this.changes.commit(by, { put: [draft] });
    const receipt = await this.waited(committed, query, caller);
    await this.status.caughtUp();
    const document = find(committed.mesh, draft);
    return {
      ...this.result(committed, receipt),
      ...(document && { document: this.print(document), ...tagged(document) }),
      created: committed.changes.some(({ ref, before }) => ref.kind === draft.kind && !before),
    };
  }

  /** Removes an object. Throws `not-found`. */
  async remove(ref: Removal, caller: Caller, query: DeletionQuery): Promise<ChangeResult> {
    const by = { author: caller.author, comment: query.comment };
    const committed = await this.changes.commit(by, { remove: [ref], force: query.force });
    return this.result(committed, await this.waited(committed, query, caller));
  }

  private async waited(
    { revision }: Committed,
    { wait }: ChangeQuery,
    { signal, author }: Caller,
  ): Promise<Receipt | undefined> {
    return wait && this.receipts.wait(revision, wait, wait.timeoutMs, signal, author);
  }

  private result({ revision, changed }: Committed, receipt: Receipt | undefined): ChangeResult {
    return { revision, changed, ...(receipt && { receipt }) };
  }

  /** A document as it goes out: the shape that also comes in, with its status. */
  private print(document: Document): object {
    const { name, namespace, ...metadata } = document.metadata;
    return {
      apiVersion: API_VERSION,
      kind: document.kind,
      metadata: { name, ...(KINDS[document.kind].namespaced && { namespace }), ...metadata },
      spec: document.spec,
      status: { conditions: this.status.conditionsOf(document) },
    };
  }
}
