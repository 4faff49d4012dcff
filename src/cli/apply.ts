/** `sluice apply`: makes the mesh hold what files say. */
import { checkChangeOptions, waitIfAsked, type ChangeOptions } from './change-options.js';
import { findDocuments, readSources, type FoundDocument, type Source } from './document-files.js';
import { EXIT } from './exit.js';
import { Failure } from './failure.js';
import { objectPath, resourceOfKind } from './resources.js';
import { Refusal, printFaults, type Rest } from './rest.js';
import { terminal } from './terminal.js';

export interface ApplyOptions extends ChangeOptions {
  readonly filename: readonly string[];
  readonly namespace?: string;
}

/**
 * Reads all that is to be applied, and sends it in the order in which it was found. What the control plane accepted
 * before it refused something stays: each document is a change of its own.
 */
export async function apply(rest: Rest, { filename, namespace, ...options }: ApplyOptions): Promise<void> {
  checkChangeOptions(options);
  if (filename.filter((path) => path === '-').length > 1) throw new Failure(EXIT.usage, 'stdin can be read only once');
  const sources: Source[] = [];
  for (const path of filename) sources.push(...(await readSources(path, () => terminal.input())));
  const documents = findDocuments(sources, namespace);

  let revision = 0;
  for (const [index, document] of documents.entries()) {
    revision = await put(rest, document, options.comment).catch((error: unknown) => {
      throw explained(error, document, index, documents.length);
    });
  }
  await waitIfAsked(rest, revision, options);
}

async function put(rest: Rest, { kind, place, body }: FoundDocument, comment: string | undefined): Promise<number> {
  const path = objectPath(resourceOfKind(kind), place);
  const { status, body: answer } = await rest.request('PUT', path, { body, query: { comment } });
  const { revision, changed } = answer as { readonly revision: number; readonly changed: boolean };
  const verb = status === 201 ? 'created' : changed ? 'changed' : 'unchanged';
  terminal.out(`${printRef({ kind, place })} ${verb} (revision ${revision})\n`);
  return revision;
}

const printRef = ({ kind, place: { namespace, name } }: Pick<FoundDocument, 'kind' | 'place'>): string =>
  `${kind} ${namespace && `${namespace}/`}${name}`;

/** A refusal with its faults where they stand in the files, and with what became of the other documents. */
function explained(error: unknown, document: FoundDocument, index: number, total: number): unknown {
  if (!(error instanceof Failure)) return error;
  const ref = printRef(document);
  const places =
    error instanceof Refusal
      ? printFaults(error.problem, ({ pointer, detail }) =>
          pointer.startsWith('?') ? detail : `${document.where(pointer)}: ${detail}`,
        )
      : [];
  // Nothing is wrong with a document that did not get so far as to be read.
  const isAboutIt = error instanceof Refusal && error.exit !== EXIT.notAuthorised;
  const about = isAboutIt ? `${ref} (${document.where('')}): ` : '';
  const message = places.length > 0 ? `${ref} is not valid:` : `${about}${error.message}`;
  const left = total - index - 1;
  const others = [
    index > 0 && `What is listed as applied stays so (${index} of ${total}).`,
    left > 0 &&
      `${left === 1 ? 'The one document' : `The ${left} documents`} after it ${left === 1 ? 'was' : 'were'} not sent.`,
  ];
  return new Failure(error.exit, message, places, [...others, error.advice].filter(Boolean).join(' '));
}
