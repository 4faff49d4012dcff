/** `sluice wait`: ends when proxies serve a revision, or when it is clear that they do not in time. */
import { printReceipt, waitForProxies } from './change-options.js';
import { EXIT } from './exit.js';
import { Failure } from './failure.js';
import { writeData, type Format } from './output.js';
import type { Rest } from './rest.js';

export interface AwaitOptions {
  readonly for: string;
  readonly timeout: string;
  readonly lost?: string;
  readonly output: Format;
}

export async function wait(rest: Rest, revision: string | undefined, options: AwaitOptions): Promise<void> {
  const number = revision === undefined ? await newest(rest) : read(revision);
  const { receipt, failure } = await waitForProxies(rest, number, { ...options, wait: options.for });
  // Scripts that asked for data get it either way; people get it in the failure.
  if (!failure || options.output !== 'table') {
    await writeData(options.output, receipt, () => `${printReceipt(receipt)}\n`);
  }
  if (failure) throw failure;
}

/** `7`, or `rev/7` as some print it. */
function read(text: string): number {
  const [, number] = /^(?:rev(?:ision)?\/)?(\d{1,15})$/.exec(text) ?? [];
  if (number === undefined) throw new Failure(EXIT.usage, `"${text}" is no revision; write its number, such as 7`);
  return Number(number);
}

async function newest(rest: Rest): Promise<number> {
  const { body } = await rest.request('GET', '/v1/revisions', { query: { limit: '1' } });
  const [revision] = (body as { readonly items: readonly { readonly number: number }[] }).items;
  if (!revision) throw new Failure(EXIT.failed, 'nothing was ever changed here, so there is nothing to wait for');
  return revision.number;
}
