/** Tells what the demo does, as it does it: each call as a `curl` that can be pasted, each promise with a tick or a cross. */
import { styleText } from 'node:util';
import type { RestAnswer, RestClient, RestRequest } from '../../test/support/rest-client.ts';

const paint = (format: Parameters<typeof styleText>[0], text: string): string =>
  styleText(format, text, { stream: process.stdout, validateStream: true });

export class Narrator {
  private readonly rest: () => RestClient | undefined;
  private readonly kept: boolean[] = [];
  private silent = false;

  /** `rest` is asked each time: there is none before the control plane was started. */
  constructor(rest: () => RestClient | undefined) {
    this.rest = rest;
  }

  /** Whether every promise was kept. */
  get allHeld(): boolean {
    return this.kept.every(Boolean);
  }

  /** From now on nothing is said any more: the show is over. */
  hush(): void {
    this.silent = true;
  }

  title(text: string): void {
    this.say(`\n${paint('bold', text)}`);
  }

  /** Something that is done otherwise than over REST: a command, a signal. */
  does(command: string): void {
    this.say(`\n  ${paint('cyan', `$ ${command}`)}`);
  }

  /** What came of it. */
  tells(...lines: readonly string[]): void {
    for (const line of lines) this.say(`    ${line}`);
  }

  /** Sends a request, after printing it as anybody could send it. */
  async sends(request: RestRequest): Promise<RestAnswer> {
    const rest = this.rest();
    if (!rest) throw new Error('there is no control plane yet');
    this.say(`\n${paint('cyan', curl(request, rest))}`);
    return rest.send(request);
  }

  /** Prints whether a promise was kept, and if not, what was seen instead. */
  promises(letter: string, promise: string, held: boolean, seen: string): void {
    this.kept.push(held);
    this.say(
      `\n  ${held ? paint('green', '✓') : paint('red', '✗')} ${letter}. ${promise}${held ? '' : `; instead: ${seen}`}`,
    );
  }

  private say(text: string): void {
    if (!this.silent) process.stdout.write(`${text}\n`);
  }
}

/** The request as a command of a shell; the token stays in its file. */
function curl({ method, path, body }: RestRequest, { url, tokenFile, trustAnchors }: RestClient): string {
  const parts = [
    `$ curl -sS --cacert ${trustAnchors} -H @<(echo "authorization: Bearer $(cat ${tokenFile})")`,
    `${method === 'GET' ? '' : `-X ${method} `}${quoted(url + path)}`,
    ...(body === undefined ? [] : [`-H 'content-type: application/json' -d ${quoted(JSON.stringify(body))}`]),
  ];
  return `  ${parts.join(' \\\n      ')}`;
}

const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;
