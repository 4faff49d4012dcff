/** `sluice apply`: makes the mesh hold what files say, as one revision, whole or not at all. */
import { parseDuration } from '../model/duration.js';
import { DEFAULT_WAIT } from '../model/wait.js';
import { checkChangeOptions, sayReceipt, waitForProxies, type ChangeOptions, type Waited } from './change-options.js';
import { findDocuments, readSources, type FoundDocument, type Source } from './document-files.js';
import { EXIT } from './exit.js';
import { Failure } from './failure.js';
import { writeData } from './output.js';
import { printPlan, type Plan } from './plan.js';
import { Refusal, printFaults, type Query, type Receipt, type Rest } from './rest.js';
import { terminal } from './terminal.js';

export interface ApplyOptions extends ChangeOptions {
  readonly filename: readonly string[];
  readonly namespace?: string;
  /** Although workloads lose by it what policies protect, or others name what goes. */
  readonly force?: boolean;
  /** Whose documents they are: whatever else is that owner's goes. */
  readonly owner?: string;
  /** Only say what it would come to. */
  readonly dryRun?: boolean;
  /** Only if it comes to what that plan said. */
  readonly plan?: string;
}

/** What REST answers to a change set. */
interface Applied {
  readonly revision: number;
  readonly changed: boolean;
  readonly changes: readonly { readonly ref: Ref; readonly action: string }[];
  readonly preview?: Plan;
  readonly receipt?: Receipt;
}

type Ref = Plan['changes'][number]['ref'];

export async function apply(rest: Rest, options: ApplyOptions): Promise<void> {
  checkOptions(options);
  const { filename, namespace, force, owner, comment, dryRun, plan, output } = options;
  const sources: Source[] = [];
  for (const path of filename) sources.push(...(await readSources(path, () => terminal.input())));
  const documents = findDocuments(sources, namespace);
  const body = {
    documents: documents.map(documentOf),
    ...(force && { force }),
    ...(owner !== undefined && { owner }),
  };
  const send = async (query: Query, patienceMs = 0): Promise<Applied> =>
    (await rest.request('POST', '/v1/change-sets', { body, query, patienceMs })).body as Applied;
  let applied: Applied;
  try {
    applied = await send({ comment, plan, ...(dryRun && { dryRun: 'server' }) });
  } catch (error) {
    throw error instanceof Refusal ? explained(error, documents) : error;
  }
  const waited = await waitFor(rest, applied, options, send);
  await writeData(output, { ...applied, ...(waited && { receipt: waited.receipt }) }, () =>
    printApplied(documents, applied, dryRun === true),
  );
  if (output === 'table' && applied.preview) terminal.out(printPlan(applied.preview));
  if (waited?.failure) throw waited.failure;
  if (waited) sayReceipt(waited.receipt);
}

function checkOptions({ filename, dryRun, plan, ...options }: ApplyOptions): void {
  checkChangeOptions(options);
  const refuse = (why: string): never => {
    throw new Failure(EXIT.usage, why);
  };
  if (filename.filter((path) => path === '-').length > 1) refuse('stdin can be read only once');
  if (dryRun && options.wait !== undefined)
    refuse('--dry-run changes nothing that could be waited for; leave --wait out');
  if (dryRun && plan !== undefined) refuse('--dry-run makes a plan, and --plan carries one out; leave one out');
}

/** As the server wants it: a document that says where it belongs. */
function documentOf({ kind, place: { namespace, name }, body }: FoundDocument): object {
  const { metadata, ...rest } = body as { readonly metadata?: object };
  return { ...rest, kind, metadata: { ...metadata, name, ...(namespace !== '' && { namespace }) } };
}

/** Where nothing was changed, it is the documents that are waited for, by whichever revisions they came. */
function waitFor(
  rest: Rest,
  { revision, changed }: Applied,
  { wait, timeout = DEFAULT_WAIT, lost }: ApplyOptions,
  send: (query: Query, patienceMs: number) => Promise<Applied>,
): Promise<Waited> | undefined {
  if (wait === undefined) return undefined;
  const options = { wait, timeout, ...(lost !== undefined && { lost }) };
  if (changed) return waitForProxies(rest, revision, options);
  const patienceMs = parseDuration(timeout) ?? 0;
  return waitForProxies(rest, revision, options, async () => (await send(options, patienceMs)).receipt as Receipt);
}

const VERBS: Readonly<Record<string, string>> = { create: 'created', replace: 'changed', remove: 'removed' };

const printRef = ({ kind, namespace, name }: Ref): string => `${kind} ${namespace && `${namespace}/`}${name}`;

/** A line for each document, and for what went because its owner has it no more. */
function printApplied(documents: readonly FoundDocument[], { revision, changes }: Applied, isDry: boolean): string {
  const actions = new Map(changes.map(({ ref, action }) => [printRef(ref), action]));
  const suffix = isDry ? 'dry run' : `revision ${revision}`;
  const said = (name: string, action: string): string => `${name} ${VERBS[action] ?? action} (${suffix})\n`;
  const named = documents.map(({ kind, place }) => printRef({ kind, ...place }));
  const others = [...actions].filter(([name]) => !named.includes(name));
  return [
    ...named.map((name) => {
      const action = actions.get(name);
      return action === undefined ? `${name} unchanged\n` : said(name, action);
    }),
    ...others.map(([name, action]) => said(name, action)),
  ].join('');
}

/** A refusal with its faults where they stand in the files. */
function explained({ exit, problem, message, advice }: Refusal, documents: readonly FoundDocument[]): Failure {
  const places = printFaults(problem, ({ pointer = '', detail }) => {
    const [, index = '', at = ''] = /^\/documents\/(\d+)(.*)$/s.exec(pointer) ?? [];
    const where = index === '' ? '' : documents[Number(index)]?.where(at);
    return where ? `${where}: ${detail}` : detail;
  });
  if (places.length > 0) return new Failure(exit, 'this is not valid, so nothing was changed:', places, advice);
  // Nothing is wrong with a document that did not get so far as to be read.
  const about =
    exit === EXIT.notAuthorised
      ? undefined
      : documents.find(({ kind, place }) => message.startsWith(`${printRef({ kind, ...place })} `));
  const nothing = exit === EXIT.notAuthorised ? [] : ['Nothing was changed.'];
  const said = about ? `${about.where('')}: ${message}` : message;
  const plan = problem.preview === undefined ? [] : [printPlan(problem.preview).trimEnd()];
  return new Failure(exit, said, plan, [...nothing, advice].filter(Boolean).join(' '));
}
