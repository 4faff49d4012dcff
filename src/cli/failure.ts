/** What a command says when it did not do what it was asked for: what, where, what to do next, and how it ends. */
import type { Exit } from './exit.js';

export class Failure extends Error {
  override readonly name = 'Failure';

  constructor(
    readonly exit: Exit,
    message: string,
    /** One line for each place at fault: a file, a field, a proxy. */
    readonly places: readonly string[] = [],
    /** What to do about it, as a sentence. */
    readonly advice = '',
  ) {
    super(message);
  }
}

/** The paragraph that a person reads. `command` is the word after `sluice`. */
export function printFailure({ message, places, advice }: Failure, command: string): string {
  const who = ['sluice', command].filter(Boolean).join(' ');
  return [`${who}: ${message}`, ...places.map((place) => `  ${place}`), ...(advice ? [advice] : [])].join('\n') + '\n';
}
