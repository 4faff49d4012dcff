/** What every command takes that changes something: whether to wait for proxies, how long, and why it is done. */
import { printRef } from '../model/document.js';
import { parseDuration } from '../model/duration.js';
import { DEFAULT_WAIT } from '../model/wait.js';
import { EXIT } from './exit.js';
import { Failure } from './failure.js';
import type { Format } from './output.js';
import { Refusal, segment, type Receipt, type Rest } from './rest.js';
import { terminal } from './terminal.js';

export interface WaitOptions {
  /** `100%`, or a number of proxies. */
  readonly wait?: string;
  readonly timeout?: string;
  /** Whether proxies that are lost count as proxies that do not serve the revision. */
  readonly lost?: string;
}

export interface ChangeOptions extends WaitOptions {
  readonly comment?: string;
  readonly output: Format;
}

/** Throws a usage failure for options that only make sense together. */
export function checkChangeOptions({ wait, timeout, lost }: ChangeOptions): void {
  if (wait !== undefined) return;
  for (const [flag, value] of Object.entries({ '--timeout': timeout, '--lost': lost })) {
    if (value !== undefined) throw new Failure(EXIT.usage, `${flag} means nothing without --wait; add --wait 100%`);
  }
}

/** How the proxies stood when waiting for them ended, and what is to be said when that was not as it should be. */
export interface Waited {
  readonly receipt: Receipt;
  readonly failure?: Failure;
}

/**
 * Waits for proxies to serve `revision`. That they do not in time, or never will, is a failure that is given, not thrown.
 * @param ask how the receipt is asked for, if not by the revision
 */
export async function waitForProxies(
  rest: Pick<Rest, 'request'>,
  revision: number,
  { wait, timeout = DEFAULT_WAIT, lost }: WaitOptions & { readonly wait: string },
  ask = async (): Promise<Receipt> => {
    const path = `/v1/revisions/${segment(revision)}/receipt`;
    const query = { wait, timeout, lost };
    return (await rest.request('GET', path, { query, patienceMs: parseDuration(timeout) ?? 0 })).body as Receipt;
  },
): Promise<Waited> {
  terminal.progress(`waiting up to ${timeout} for ${wait} of the proxies to serve revision ${revision} ...`);
  try {
    return { receipt: await ask() };
  } catch (error) {
    const receipt = error instanceof Refusal ? error.problem.receipt : undefined;
    if (!receipt) throw error;
    return { receipt, failure: notServed(error as Refusal, receipt, wait) };
  }
}

/** Waits for `revision` if `options` say so, and says what came of it. */
export async function waitIfAsked(
  rest: Pick<Rest, 'request'>,
  revision: number,
  { wait, ...options }: WaitOptions,
): Promise<Waited | undefined> {
  if (wait === undefined) return undefined;
  const waited = await waitForProxies(rest, revision, { wait, ...options });
  if (!waited.failure) sayReceipt(waited.receipt);
  return waited;
}

export const sayReceipt = (receipt: Receipt): void => terminal.talk(printReceipt(receipt));

function notServed({ exit }: Refusal, receipt: Receipt, wanted: string): Failure {
  const { revision, why, laggards } = receipt;
  const what = `revision ${revision} is committed, and ${why}`;
  return new Failure(
    exit,
    laggards.length > 0 ? `${what}; not these:` : `${what}; ${wanted} were asked for`,
    [...laggards.map(({ proxy, reason, detail }) => `${proxy} (${reason}): ${detail}`), ...remarks(receipt)],
    exit === EXIT.refused
      ? 'They go on with what they had: change the object that they refuse, or apply what was there before.'
      : `Ask again with "sluice wait ${revision}", or look at "sluice get proxies".`,
  );
}

/** `revision 7: 5 of 5 proxies hold what revision 7 changed`, with a line for each proxy that is lost and each object that does nothing. */
export const printReceipt = (receipt: Receipt): string =>
  [`revision ${receipt.revision}: ${receipt.why}`, ...remarks(receipt)].join('\n');

/** What somebody who waited must not overlook. A server of an older version does not say it. */
const remarks = ({ lost = [], noEffect = [] }: Partial<Receipt>): string[] => [
  ...lost.map(
    ({ proxy, enrolment, since }) =>
      `${proxy}${enrolment === undefined ? '' : ` (enrolment ${enrolment})`} is lost: nothing was heard of it since ${since}, and it may go on with what it had`,
  ),
  ...noEffect.map(
    ({ ref, reason, message }) => `${printRef(ref)} does nothing as the mesh stands (${reason}): ${message}`,
  ),
];
