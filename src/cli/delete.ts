/** `sluice delete`: takes one object out of the mesh. */
import { checkChangeOptions, waitIfAsked, type ChangeOptions } from './change-options.js';
import { EXIT } from './exit.js';
import { Failure } from './failure.js';
import { writeData } from './output.js';
import { findResource, objectPath, placeOf } from './resources.js';
import type { Rest } from './rest.js';

export interface DeleteOptions extends ChangeOptions {
  readonly namespace?: string;
  /** Although other objects name it. */
  readonly force?: boolean;
}

export async function remove(rest: Rest, word: string, name: string, options: DeleteOptions): Promise<void> {
  checkChangeOptions(options);
  const resource = findResource(word);
  if (resource.naming !== 'in namespace') throw new Failure(EXIT.usage, KEPT[resource.naming]);
  const place = placeOf(resource, name, options.namespace);
  const { body } = await rest.request('DELETE', objectPath(resource, place), {
    query: { comment: options.comment, ...(options.force && { force: 'true' }) },
  });
  const { revision } = body as { readonly revision: number };
  const waited = await waitIfAsked(rest, revision, options);
  const result = { ...(body as object), ...(waited && { receipt: waited.receipt }) };
  const line = `${resource.kind} ${place.namespace}/${place.name} deleted (revision ${revision})\n`;
  await writeData(options.output, result, () => line);
  if (waited?.failure) throw waited.failure;
}

/** Why some things cannot be deleted. */
const KEPT = {
  'only one': 'the settings of the mesh cannot be deleted; apply other ones',
  'in mesh': 'revisions are never deleted',
  'across namespaces': 'a proxy goes when its program does; to turn one out, delete its workload',
} as const;
