/** From the body of a change set to a wish: every fault of every document at once, each with a pointer into the whole. */
import type { Draft, Ref } from '../model/document.js';
import { pointer, type Fault } from '../model/fault.js';
import { KINDS, type Kind } from '../model/kinds.js';
import { MeshError } from '../model/mesh-error.js';
import { OWNER_LABEL } from '../model/names.js';
import { MAX_CHANGES, type Wish } from '../changes/plan.js';
import { ChangeSetDto } from './change-set.dto.js';
import { readDraft, type Context } from './document-door.js';
import type { Doors } from './doors.js';
import { parse } from './parse.js';

type Json = Readonly<Record<string, unknown>>;

/** The wish that `body` holds. Throws `invalid` with all that is wrong. */
export function readChangeSet(doors: Doors, body: unknown, context: Context): Wish {
  const { documents = [] } = isObject(body) ? body : {};
  const faults: Fault[] = [];
  const read = <T>(reader: () => T, at: string): T | undefined => collected(reader, at, faults);
  const set = read(() => parse(ChangeSetDto, body), '');
  const drafts = listOf(documents, faults).flatMap(
    (document, index) => read(() => readOne(doors, document, context), pointer('documents', index)) ?? [],
  );
  const { remove = [], owner, force = false } = set ?? {};
  const removals = remove.map(({ kind, namespace, name }) => refOf(kind as Kind, namespace, name));
  if (faults.length === 0 && drafts.length + removals.length === 0 && owner === undefined) {
    faults.push({ pointer: '', detail: 'there is nothing in it; give documents, or what is to be removed' });
  }
  if (faults.length > 0) throw MeshError.invalid(faults);
  return { put: drafts.map((draft) => owned(draft, owner)), remove: removals, force, ...(owner && { owner }) };
}

const refOf = (kind: Kind, namespace: string, name: string): Ref => ({
  kind,
  namespace: KINDS[kind].namespaced ? namespace : '',
  name,
});

const owned = (draft: Draft, owner: string | undefined): Draft =>
  owner === undefined ? draft : { ...draft, labels: { ...draft.labels, [OWNER_LABEL]: owner } };

function listOf(documents: unknown, faults: Fault[]): readonly unknown[] {
  if (Array.isArray(documents) && documents.length <= MAX_CHANGES) return documents;
  faults.push(...wrong(pointer('documents'), documents, 'field', `must be a list of at most ${MAX_CHANGES}`).faults);
  return [];
}

/** The document says itself what it is and where it belongs: no path does. */
function readOne(doors: Doors, document: unknown, context: Context): Draft {
  if (!isObject(document)) throw wrong('', document, 'item', 'must be a document');
  const { kind, metadata } = document;
  const door = doors.get(kind);
  if (!door) throw wrong(pointer('kind'), kind, 'field', `must be one of ${doors.kinds.join(', ')}`);
  const { onlyName, namespaced } = KINDS[door.kind];
  const written = isObject(metadata) ? metadata : {};
  const name = textOf(written['name'], onlyName ?? '');
  if (onlyName !== undefined && name !== onlyName) {
    throw MeshError.invalid([{ pointer: pointer('metadata', 'name'), detail: `name must be "${onlyName}"` }]);
  }
  const namespace = namespaced ? textOf(written['namespace'], '') : '';
  // The only one is where it is, whether it says so or not.
  return readDraft(door, { namespace, name, isOfPath: onlyName !== undefined }, document, context);
}

/** What `read` gives; undefined when it throws faults, which are added with `at` before their pointers. */
function collected<T>(read: () => T, at: string, faults: Fault[]): T | undefined {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof MeshError) || error.code !== 'invalid') throw error;
    faults.push(...error.faults.map((fault) => ({ ...fault, pointer: `${at}${fault.pointer ?? ''}` })));
    return undefined;
  }
}

/** What is no text is a fault that the door of the kind finds. */
const textOf = (value: unknown, otherwise: string): string => (typeof value === 'string' ? value : otherwise);

/** The fault of `value`, which is not what it must be. Null is never anything. */
function wrong(at: string, value: unknown, what: 'field' | 'item', must: string): MeshError {
  const name = what === 'item' ? 'an item of documents' : at.slice(1);
  const detail = value === null ? `${name} must not be null; leave the ${what} out instead` : `${name} ${must}`;
  return MeshError.invalid([{ pointer: at, detail }]);
}

const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
