/** `sluice apply`: makes the mesh hold what files say. */
import { checkChangeOptions, waitIfAsked, type ChangeOptions } from './change-options.js';
import { findDocuments, readSources, type FoundDocument, type Source } from './document-files.js';
import { EXIT } from './exit.js';
import { Failure } from './failure.js';
import { writeData } from './output.js';
import { objectPath, resourceOfKind } from './resources.js';
import { Refusal, printFaults, type Rest } from './rest.js';
import { terminal } from './terminal.js';

export interface ApplyOptions extends ChangeOptions {
  readonly filename: readonly string[];
  readonly namespace?: string;
  /** Although workloads lose by it what policies protect. */
  readonly force?: boolean;
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

  const applied: Applied[] = [];
  let failure: Failure | undefined;
  for (const [index, document] of documents.entries()) {
    try {
      applied.push(await put(rest, document, options));
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      failure = explained(error, document, index, documents.length);
      break;
    }
  }
  const revisions = applied.map(({ revision }) => revision);
  const waited = failure ? undefined : await waitIfAsked(rest, revisions, options);
  const result = { items: applied, ...(waited && { receipt: waited.receipt }) };
  // As a table, each line was written when what it tells had happened.
  if (options.output !== 'table') await writeData(options.output, result, () => '');
  if (failure ?? waited?.failure) throw (failure ?? waited?.failure) as Failure;
}

/** What REST answers to a document that it takes. */
interface Applied {
  readonly revision: number;
  readonly changed: boolean;
}

async function put(
  rest: Rest,
  { kind, place, body }: FoundDocument,
  { comment, output, force }: Omit<ApplyOptions, 'filename'>,
): Promise<Applied> {
  const path = objectPath(resourceOfKind(kind), place);
  // What is one for the whole mesh takes nothing from anybody that would have to be forced.
  const isForced = force === true && place.namespace !== '';
  const query = { comment, ...(isForced && { force: 'true' }) };
  const { status, body: answer } = await rest.request('PUT', path, { body, query });
  const applied = answer as Applied;
  const verb = status === 201 ? 'created' : applied.changed ? 'changed' : 'unchanged';
  if (output === 'table') terminal.out(`${printRef({ kind, place })} ${verb} (revision ${applied.revision})\n`);
  return applied;
}

const printRef = ({ kind, place: { namespace, name } }: Pick<FoundDocument, 'kind' | 'place'>): string =>
  `${kind} ${namespace && `${namespace}/`}${name}`;

/** A refusal with its faults where they stand in the files, and with what became of the other documents. */
function explained(error: Failure, document: FoundDocument, index: number, total: number): Failure {
  const ref = printRef(document);
  const places =
    error instanceof Refusal
      ? printFaults(error.problem, ({ pointer, detail }) =>
          pointer === undefined ? detail : `${document.where(pointer)}: ${detail}`,
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
