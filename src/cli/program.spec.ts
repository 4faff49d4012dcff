import type { Command } from 'commander';
import { expect, it } from 'vitest';
import { createProgram } from './program.js';

/** The command line, but that it throws where it would end the process, and says nothing. */
function quietProgram(): Command {
  const prepare = (command: Command): void => {
    command.exitOverride().configureOutput({ writeErr: () => undefined });
    command.commands.forEach(prepare);
  };
  const program = createProgram({ SLUICE_HOME: '/nowhere' }, () => '0');
  prepare(program);
  return program;
}

it.each([
  ['apply', ['-f', '/nowhere.yaml', '--wait', '100%']],
  ['delete', ['service', 'cart', '--wait', '100%']],
  ['wait', ['7']],
])('%s does not begin what would end in a wait that is too long', async (command, args) => {
  const given = quietProgram().parseAsync([command, ...args, '--timeout', '20m'], { from: 'user' });
  await expect(given).rejects.toMatchObject({
    code: 'commander.invalidArgument',
    message: expect.stringMatching(/at most 10m/) as string,
  });
});
