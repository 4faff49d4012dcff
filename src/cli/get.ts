/** `sluice get`: shows objects, or one of them. */
import { NAMESPACE, columnsOf, unmetConditions } from './columns.js';
import { EXIT } from './exit.js';
import { Failure } from './failure.js';
import { writeData, type Format } from './output.js';
import { DEFAULT_NAMESPACE, findResource, listPath, objectPath, placeOf, type Resource } from './resources.js';
import { listAll, type Rest } from './rest.js';
import { printTable } from './table.js';
import { terminal } from './terminal.js';

export interface GetOptions {
  readonly namespace?: string;
  readonly allNamespaces?: boolean;
  /** Label selector. */
  readonly selector?: string;
  readonly fieldSelector?: string;
  readonly output: Format;
  readonly limit?: number;
}

export async function get(rest: Rest, word: string, names: readonly string[], options: GetOptions): Promise<void> {
  const resource = findResource(word);
  if (options.namespace !== undefined && (resource.naming === 'in mesh' || resource.naming === 'only one')) {
    throw new Failure(EXIT.usage, `${resource.names[0]} belong to the whole mesh; leave -n out`);
  }
  checkOptions(resource, names, options);
  const columns = columnsOf(resource, Date.now());
  const table = (items: readonly unknown[], headings = columns) =>
    printTable(headings, items as Record<string, unknown>[], terminal.paint);

  if (names.length > 0 || resource.naming === 'only one') {
    const places = (names.length > 0 ? names : ['']).map((name) => placeOf(resource, name, options.namespace));
    const found: unknown[] = [];
    for (const place of places) found.push((await rest.request('GET', objectPath(resource, place))).body);
    await writeData(options.output, found.length === 1 ? found[0] : { items: found }, () => table(found));
    if (options.output === 'table') found.flatMap(unmetConditions).forEach((sentence) => terminal.talk(sentence));
    return;
  }

  const items = await list(rest, resource, options);
  if (items.length === 0 && options.output !== 'json' && options.output !== 'yaml') {
    return terminal.talk(nothing(resource, options));
  }
  const withNamespace = options.allNamespaces && resource.naming === 'in namespace' ? [NAMESPACE, ...columns] : columns;
  await writeData(options.output, { items }, () => table(items, withNamespace));
  if (options.output === 'table')
    earlier(resource, items, options.limit).forEach((sentence) => terminal.talk(sentence));
}

/** What somebody who reads the history must not take for all of it. */
function earlier({ names: [plural] }: Resource, items: readonly unknown[], limit: number | undefined): string[] {
  const { number } = items.at(-1) as { readonly number?: number };
  if (plural !== 'revisions' || number === undefined || number === 1 || items.length === limit) return [];
  return [`revisions before ${number} are not kept any more; --history-keep of the server says how many are`];
}

/** Throws a usage failure for options that mean nothing for this, or not together. */
function checkOptions({ naming, names: [plural] }: Resource, names: readonly string[], options: GetOptions): void {
  const { namespace, allNamespaces, selector, fieldSelector } = options;
  const refuse = (why: string): never => {
    throw new Failure(EXIT.usage, why);
  };
  if (allNamespaces && namespace !== undefined) refuse('-A means all namespaces, and -n one of them; leave one out');
  if (names.length > 0 && (allNamespaces || selector !== undefined || fieldSelector !== undefined))
    refuse('objects are chosen by their names, or with -A, -l and --field-selector; leave one out');
  if (naming !== 'in namespace' && (selector !== undefined || fieldSelector !== undefined))
    refuse(`${plural} have no labels and fields to choose by; leave -l and --field-selector out`);
}

async function list(rest: Rest, resource: Resource, options: GetOptions): Promise<readonly unknown[]> {
  const { namespace, allNamespaces, selector: labelSelector, fieldSelector, limit } = options;
  if (resource.naming !== 'across namespaces' || namespace === undefined) {
    const path = allNamespaces ? listPath(resource) : listPath(resource, namespace ?? DEFAULT_NAMESPACE);
    return listAll(rest, path, limit, { labelSelector, fieldSelector });
  }
  const all = (await listAll(rest, listPath(resource))) as { readonly id: string }[];
  return all.filter(({ id }) => id.startsWith(`${namespace}/`)).slice(0, limit);
}

function nothing({ names: [plural], naming }: Resource, options: GetOptions): string {
  const { namespace, allNamespaces, selector, fieldSelector } = options;
  const chosen = selector === undefined && fieldSelector === undefined ? '' : ' that are selected so';
  if (naming === 'in mesh' || allNamespaces || (naming === 'across namespaces' && namespace === undefined))
    return `there are no ${plural.replaceAll('-', ' ')}${chosen}`;
  const hint = namespace === undefined ? '; choose another one with -n, or all with -A' : '';
  return `there are no ${plural.replaceAll('-', ' ')}${chosen} in namespace "${namespace ?? DEFAULT_NAMESPACE}"${hint}`;
}
