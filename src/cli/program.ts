/** Every command with its options; what a command does is loaded when it is called, so that each starts fast. */
import { Command, Option } from 'commander';
import { DEFAULT_WAIT, LONGEST_WAIT } from '../model/wait.js';
import {
  collect,
  readDuration,
  readForward,
  readLabel,
  readLimit,
  readName,
  readPort,
  readTarget,
  readTimeout,
} from './arguments.js';
import type { ApplyOptions } from './apply.js';
import type { DeleteOptions } from './delete.js';
import type { GetOptions } from './get.js';
import { CLIENT_DEFAULTS, CLIENT_VARIABLES, type Environment } from './client-settings.js';
import { EXIT, exitCodeHelp } from './exit.js';
import { lostOption, namespaceOption, outputOption, withChange, withClient } from './options.js';
import { FORMATS, type Format } from './output.js';
import { DEFAULT_NAMESPACE, RESOURCES } from './resources.js';
import type { RunOptions } from './run-plan.js';
import { addServerFlag, addServerFlags, backup, restore, serve } from './server.js';

const HELP = `
Kinds for get and delete:
${RESOURCES.map(({ names: [first, ...others] }) => `  ${first.padEnd(24)}${others.join(', ')}`).join('\n')}

Environment:
  ${CLIENT_VARIABLES.url}            where the control plane is; ${CLIENT_DEFAULTS.url}
  ${CLIENT_VARIABLES.token}          the token itself; it is never taken from the command line, which others can see
  ${CLIENT_VARIABLES.tokenFile}     a file with it; ${CLIENT_DEFAULTS.tokenFile}
  ${CLIENT_VARIABLES.trustAnchors}  what the control plane is known by; ${CLIENT_DEFAULTS.trustAnchors}
  ${CLIENT_VARIABLES.home}           where these files, the state of workloads and the data of a server are; ${CLIENT_DEFAULTS.home}
  ${CLIENT_VARIABLES.proxyBinary}      the sidecar that "sluice run" starts
  NO_COLOR              no colours

Exit codes:
${exitCodeHelp()}`;

/** The command line. `version` is read only when somebody asks for it. */
export function createProgram(env: Environment, version: () => string): Command {
  const program = new Command('sluice')
    .description('Says who may call whom in a mesh and how traffic is shared, and proves that the sidecars obey.')
    .option('-V, --version', 'print the version')
    .on('option:version', () => {
      process.stdout.write(`${version()}\n`);
      process.exit(0);
    })
    .enablePositionalOptions()
    .addHelpText('after', HELP);
  addServer(program, env);
  addRun(program, env);
  addApply(program, env);
  addGet(program, env);
  addDelete(program, env);
  addWait(program, env);
  addToken(program, env);
  return program;
}

function addServer(program: Command, env: Environment): void {
  const server = program
    .command('server')
    .description('start the control plane; it runs until Ctrl-C')
    .enablePositionalOptions()
    .action((flags: Record<string, string>) => serve(flags, env));
  addServerFlags(server);
  const copies = [
    ['backup', 'copy what a server keeps into FILE, while it runs; it holds the private keys of the mesh', backup],
    ['restore', 'make a data directory, which must be empty, of FILE, a backup', restore],
  ] as const;
  for (const [name, description, copy] of copies) {
    const command = server
      .command(name)
      .description(description)
      .argument('<file>', 'the backup')
      .action((file: string, flags: Record<string, string>) => {
        const [flag] = Object.keys(server.opts());
        if (flag !== undefined) server.error(`error: flags stand after "${name}"`, { exitCode: EXIT.usage });
        return copy(file, flags, env);
      });
    addServerFlag(command, 'dataDir');
  }
}

function addRun(program: Command, env: Environment): void {
  const command = program
    .command('run')
    .description('start a program beside a sidecar, which joins the mesh for it')
    .usage('[options] -- COMMAND [ARGS...]')
    .argument('[command...]', 'the program and its arguments; none for a sidecar alone')
    .passThroughOptions()
    .option('-s, --service <name>', 'the service that it is part of; none for a program that only calls', readName)
    .option(
      '-p, --port <[name=]port>',
      'a port of the program on 127.0.0.1; may be repeated; none for one that only calls',
      readPort,
    )
    .addOption(namespaceOption('the namespace').default(DEFAULT_NAMESPACE))
    .option(
      '--name <name>',
      'what the workload is called; by default its service and a mark of host and port',
      readName,
    )
    .option(
      '--service-account <name>',
      'the account of its identity; by default its service, or else its name',
      readName,
    )
    .option('-l, --label <key=value>', 'a label of the workload; may be repeated', readLabel)
    .option(
      '--inbound-listen <host:port>',
      'where others reach it, at its first port and then the next ones; by default free ports of 127.0.0.1',
    )
    .option('--outbound-listen <host:port>', 'where the program sends its calls; by default a free port of 127.0.0.1')
    .option(
      '--forward <port=service:port>',
      'a port of 127.0.0.1 that leads to a TCP or TLS port of a service; may be repeated',
      readForward,
    )
    .option('--admin-listen <host:port>', 'health, metrics and configuration; by default a free port of 127.0.0.1')
    .option('--xds <host:port>', 'where configuration streams from; by default port 8444 of the control plane')
    .option('--join <host:port>', 'where to join; by default port 8445 of the control plane')
    .option('--state-dir <dir>', 'identity and last configuration; by default $SLUICE_HOME/workloads/NAMESPACE/NAME')
    .option('--join-token-file <file>', 'join with a token made by "sluice token join"; the API is not asked then')
    .addHelpText('after', RUN_EXAMPLE);
  withClient(command, env, async (rest, settings, options: RunOptions, program: string[]) => {
    const { run } = await import('./run.js');
    await run(rest, settings, options, program, env);
  });
}

const RUN_EXAMPLE = `
The program calls others by name, as http://cart.shop/, through the proxy that HTTP_PROXY names to it.

  sluice run --service cart --namespace shop --port 9001 --label version=v1 -- node cart.js
  sluice run --name report --forward 15432=db:5432 -- psql -h 127.0.0.1 -p 15432`;

function addApply(program: Command, env: Environment): void {
  const command = program
    .command('apply')
    .description('make the mesh hold the documents of files, as one revision: all of them, or none')
    .requiredOption(
      '-f, --filename <path>',
      'YAML or JSON file, directory of such files, or - for stdin; may be repeated',
      collect,
    )
    .option('--dry-run', 'only say what it would come to, with a plan to hold it to')
    .option('--plan <hash>', 'only if it still comes to what a dry run said')
    .option('--owner <name>', 'whose documents these are: whatever else bears its label goes', readName)
    .option('--force', 'although workloads lose by it what policies protect, or others name what goes')
    .addOption(namespaceOption('the namespace of documents that name none'));
  withChange(command);
  withClient(command, env, async (rest, _, options: ApplyOptions) => {
    const { apply } = await import('./apply.js');
    await apply(rest, options);
  });
}

function addGet(program: Command, env: Environment): void {
  const command = program
    .command('get')
    .description('show objects of a kind, or some of them')
    .argument('<kind>', 'such as services, splits, policies, workloads, proxies, revisions')
    .argument('[name...]', 'NAME or NAMESPACE/NAME, one or several; all if it is left out')
    .addOption(namespaceOption())
    .option('-A, --all-namespaces', 'those of all namespaces')
    .option('-l, --selector <labels>', 'only those with such labels, such as team=checkout,tier in (web,api),!legacy')
    .option('--field-selector <fields>', 'only those with such fields, such as spec.service=cart')
    .addOption(outputOption(FORMATS))
    .option('--limit <number>', 'show at most so many', readLimit);
  withClient(command, env, async (rest, _, options: GetOptions, kind: string, names: string[]) => {
    const { get } = await import('./get.js');
    await get(rest, kind, names, options);
  });
}

function addDelete(program: Command, env: Environment): void {
  const command = program
    .command('delete')
    .description('take an object out of the mesh')
    .argument('<kind>', 'such as service, split, policy, workload')
    .argument('<name>', 'NAME or NAMESPACE/NAME')
    .option('--force', 'although other objects name it; what its policies protected stays protected')
    .addOption(namespaceOption());
  withChange(command);
  withClient(command, env, async (rest, _, options: DeleteOptions, kind: string, name: string) => {
    const { remove } = await import('./delete.js');
    await remove(rest, kind, name, options);
  });
}

function addWait(program: Command, env: Environment): void {
  const command = program
    .command('wait')
    .description('wait for proxies to serve a revision, and print the receipt')
    .argument('[revision]', 'its number; the newest if it is left out')
    .addOption(
      new Option('--for <share>', 'a share of the proxies, or a number of them').default('100%').argParser(readTarget),
    )
    .addOption(
      new Option('--timeout <duration>', `how long, up to ${LONGEST_WAIT}`)
        .default(DEFAULT_WAIT)
        .argParser(readTimeout),
    )
    .addOption(lostOption())
    .addOption(outputOption(['table', 'json', 'yaml']));
  withClient(
    command,
    env,
    async (rest, _, options: { for: string; timeout: string; lost?: string; output: Format }, revision?: string) => {
      const { wait } = await import('./wait.js');
      await wait(rest, revision, options);
    },
  );
}

function addToken(program: Command, env: Environment): void {
  const token = program.command('token').description('make, list and revoke tokens');
  const expiry = (meaning: string) => new Option('--expires-in <duration>', meaning).argParser(readDuration);
  const create = token
    .command('create')
    .description('make a token for the API and print it')
    .argument('<name>', 'the author of the revisions that it makes')
    .addOption(expiry('how long it can be used; by default until it is revoked'));
  withClient(create, env, async (rest, _, { expiresIn }: { expiresIn?: string }, name: string) => {
    const { createToken } = await import('./token.js');
    await createToken(rest, name, { ...(expiresIn && { expiresIn }) });
  });
  const list = token.command('list').description('list the tokens of the API, without their texts');
  withClient(
    list.addOption(outputOption(['table', 'json', 'yaml'])),
    env,
    async (rest, _, options: { output: Format }) => {
      const { listTokens } = await import('./token.js');
      await listTokens(rest, options);
    },
  );
  const revoke = token.command('revoke').description('end a token of the API').argument('<name>');
  withClient(revoke, env, async (rest, _, _options: object, name: string) => {
    const { revokeToken } = await import('./token.js');
    await revokeToken(rest, name);
  });
  const join = token
    .command('join')
    .description('make a token that lets one sidecar join, once, and print it')
    .requiredOption('--name <name>', 'what the workload will be called', readName)
    .addOption(namespaceOption('the namespace').default(DEFAULT_NAMESPACE))
    .option('-s, --service <name>', 'the service that it is part of', readName)
    .option(
      '--service-account <name>',
      'the account of its identity; by default its service, or else its name',
      readName,
    )
    .option('-l, --label <key=value>', 'a label of the workload; may be repeated', readLabel)
    .addOption(expiry('how long the token can be used, up to 24h; by default 10m'));
  withClient(join, env, async (rest, _, options: RunOptions & { name: string; expiresIn?: string }) => {
    const { joinToken } = await import('./token.js');
    const { namespace, name, service, serviceAccount, label, expiresIn } = options;
    await joinToken(rest, namespace, {
      name,
      ...(service && { service }),
      ...(serviceAccount && { serviceAccount }),
      ...(label && { labels: label }),
      ...(expiresIn && { expiresIn }),
    });
  });
}
