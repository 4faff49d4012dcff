/** How a command ends: the one table of exit codes, which `sluice --help` prints. */

/** BSD sysexits where there is one; from 79 on, what was asked for was done and something is to be said about it. */
export const EXIT = {
  ok: 0,
  failed: 1,
  usage: 64,
  badInput: 65,
  unavailable: 69,
  notAuthorised: 77,
  notInTime: 79,
  refused: 80,
} as const;

export type Exit = (typeof EXIT)[keyof typeof EXIT];

const MEANINGS: Readonly<Record<Exit, string>> = {
  [EXIT.ok]: 'done',
  [EXIT.failed]: 'it failed; stderr says why',
  [EXIT.usage]: 'the command line makes no sense',
  [EXIT.badInput]: 'a file or a document is not valid; nothing after it was sent',
  [EXIT.unavailable]: 'the control plane cannot be reached or trusted, or cannot store anything now',
  [EXIT.notAuthorised]: 'there is no token, or it does not allow this',
  [EXIT.notInTime]: 'done, but not every proxy that was waited for serves it yet',
  [EXIT.refused]: 'done, but a proxy refuses it and goes on with what it had',
};

/** The table for people. */
export const exitCodeHelp = (): string =>
  Object.entries(MEANINGS)
    .map(([code, meaning]) => `  ${code.padEnd(4)}${meaning}`)
    .join('\n');

/** How a command ends that the control plane answered with a problem document. */
export function exitOfProblem({ status, type }: { readonly status: number; readonly type: string }): Exit {
  const code = type.replace('urn:sluice:problem:', '');
  if (code === 'refused-by-proxy') return EXIT.refused;
  if (code === 'not-applied-in-time') return EXIT.notInTime;
  if (status === 401 || status === 403) return EXIT.notAuthorised;
  if (status === 400 || status === 413 || status === 415) return EXIT.badInput;
  return status >= 502 && status <= 504 ? EXIT.unavailable : EXIT.failed;
}
