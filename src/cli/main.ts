/** The command line: runs one command, and turns what went wrong into words on stderr and an exit code. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CommanderError, type Command } from 'commander';
import { EXIT, type Exit } from './exit.js';
import { Failure, printFailure } from './failure.js';
import { createProgram } from './program.js';

async function main(args: readonly string[]): Promise<void> {
  // Whoever reads the other end of the pipe has seen enough.
  process.stdout.on('error', (error: NodeJS.ErrnoException) =>
    process.exit(error.code === 'EPIPE' ? EXIT.ok : EXIT.failed),
  );
  const program = createProgram(process.env, readVersion);
  const commands = strictly(program);
  try {
    await program.parseAsync(args, { from: 'user' });
  } catch (error) {
    process.exitCode = explain(error, commands.current());
  }
}

/** Makes commander throw instead of ending the process, and write what it says as our own failures are written. */
function strictly(program: Command): { readonly current: () => string } {
  let current = '';
  const prepare = (command: Command, path: string): void => {
    command.exitOverride().configureOutput({
      outputError: (text, write) => write(`sluice${path}: ${text.replace(/^error: /, '')}`),
    });
    command.showHelpAfterError(`See "sluice${path} --help".`);
    for (const child of command.commands) prepare(child, `${path} ${child.name()}`);
  };
  prepare(program, '');
  program.hook('preAction', (_, action) => void (current = nameOf(action)));
  return { current: () => current };
}

/** `token join`. */
const nameOf = (command: Command): string =>
  command.parent ? [nameOf(command.parent), command.name()].filter(Boolean).join(' ') : '';

/** Says what went wrong, and how the process is to end. */
function explain(error: unknown, command: string): Exit {
  if (error instanceof Failure) {
    process.stderr.write(printFailure(error, command));
    return error.exit;
  }
  // Commander has said it already. Help that was asked for is no failure; help because there was no command is.
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
  const { path, code } = error as NodeJS.ErrnoException;
  if (path !== undefined) {
    process.stderr.write(`sluice ${command}: ${path} cannot be used: ${code}\n`);
    return EXIT.failed;
  }
  process.stderr.write(`sluice ${command}: this is a bug of sluice:\n${(error as Error).stack ?? String(error)}\n`);
  return EXIT.failed;
}

const readVersion = (): string => {
  const file = join(import.meta.dirname, '..', '..', 'package.json');
  return (JSON.parse(readFileSync(file, 'utf8')) as { readonly version: string }).version;
};

await main(process.argv.slice(2));
