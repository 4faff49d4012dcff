/** The command line as people and pipelines use it: the real `bin/sluice` against a real control plane. */
import { chmodSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { rootCertificates } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { JoinedClient } from '../support/grpc-client.ts';
import { doorsOf } from '../support/direct-call.ts';
import { startSluice, type CommandResult, type Sluice } from '../support/sluice.ts';

let sluice: Sluice;
let files: string;
beforeAll(async () => {
  sluice = await startSluice();
  files = join(sluice.home, 'files');
  mkdirSync(files);
});
afterAll(() => sluice[Symbol.asyncDispose]());

const run = (...args: string[]): Promise<CommandResult> => sluice.cli(args);

function file(name: string, text: string): string {
  writeFileSync(join(files, name), text);
  return join(files, name);
}

const service = (name: string, namespace = 'shop'): string =>
  `apiVersion: sluice.mesh/v1\nkind: Service\nmetadata: {name: ${name}, namespace: ${namespace}}\nspec: {ports: [{port: 80}]}\n`;

const split = (v1: string, v2: string): string => `apiVersion: sluice.mesh/v1
kind: TrafficSplit
metadata: {name: cart, namespace: shop}
spec:
  service: cart
  backends:
    - {service: cart-v1, weight: ${v1}}
    - {service: cart-v2, weight: ${v2}}
`;

describe('apply', () => {
  it('says of each document what became of it, all of them in one revision', async () => {
    const path = file('mesh.yaml', `# the shop\n${service('cart')}---\n${split('90', '10')}`);
    expect(await run('apply', '-f', path, '--comment', 'a canary')).toEqual({
      code: 0,
      signal: null,
      stdout: 'Service shop/cart created (revision 2)\nTrafficSplit shop/cart created (revision 2)\n',
      stderr: '',
    });
    file('mesh.yaml', `${service('cart')}---\n${split('50', '50')}`);
    expect((await run('apply', '-f', path)).stdout).toBe(
      'Service shop/cart unchanged\nTrafficSplit shop/cart changed (revision 3)\n',
    );
    expect((await run('get', 'revision', '2')).stdout).toMatch(/admin .* Service shop\/cart created.* +a canary\n$/);
  });

  it('gives pipelines what REST answered, the receipt among it, and nothing when anything was refused', async () => {
    const done = await sluice.cli(
      ['apply', '-f', '-', '-o', 'json', '--wait', '100%'],
      {},
      `${service('cart')}---\n${service('data')}`,
    );
    const revision = JSON.parse(done.stdout).revision as number;
    expect(JSON.parse(done.stdout)).toMatchObject({
      changed: true,
      changes: [{ ref: { kind: 'Service', namespace: 'shop', name: 'data' }, action: 'create' }],
      receipt: { revision, affected: 0, serving: 0 },
    });
    const again = await sluice.cli(['apply', '-f', '-', '-o', 'json', '--wait', '100%'], {}, service('data'));
    expect(JSON.parse(again.stdout)).toMatchObject({ revision, changed: false, changes: [], receipt: { revision } });
    const half = await sluice.cli(['apply', '-f', '-', '-o', 'json'], {}, `${service('half')}---\n${split('-1', '1')}`);
    expect(half).toMatchObject({ code: 65, stdout: '' });
    expect((await run('get', 'service', 'shop/half')).code).toBe(1);
    const gone = await run('delete', 'service', 'shop/data', '-o', 'json');
    expect(JSON.parse(gone.stdout)).toEqual({ revision: revision + 1, changed: true });
  });

  it('takes directories, JSON and stdin, and puts into -n what names no namespace', async () => {
    const directory = join(files, 'many');
    mkdirSync(directory);
    writeFileSync(join(directory, 'b.yml'), service('b'));
    writeFileSync(
      join(directory, 'a.json'),
      '{\n\t"apiVersion": "sluice.mesh/v1", "kind": "Service", "metadata": {"name": "a"}, "spec": {"ports": [{"port": 80}]}\n}',
    );
    writeFileSync(join(directory, 'notes.txt'), 'not one of them');
    const { stdout } = await run('apply', '-n', 'shop', '-f', directory);
    expect(stdout).toMatch(/^Service shop\/a created .*\nService shop\/b created .*\n$/);
    const piped = await sluice.cli(['apply', '-f', '-'], {}, service('c', 'other'));
    expect(piped.stdout).toMatch(/^Service other\/c created/);
  });

  it('takes back what get gives', async () => {
    for (const args of [['splits', '-n', 'shop'], ['services', '-n', 'shop'], ['settings'], ['split', 'shop/cart']]) {
      for (const format of ['yaml', 'json']) {
        const { stdout } = await run('get', ...args, '-o', format);
        const applied = await sluice.cli(['apply', '-f', '-'], {}, stdout);
        expect(applied).toMatchObject({ code: 0, stderr: '' });
        expect(applied.stdout).toMatch(/^(.* unchanged\n)+$/);
      }
    }
  });

  it('checks all documents before it sends the first, and says where everything is that is wrong', async () => {
    const path = file(
      'faulty.yaml',
      `${service('good')}---\n${service('Bad')}---\napiVersion: v1\nkind: Split\n---\n${service('good')}---\na: [1\n`,
    );
    const { code, stdout, stderr } = await run('apply', '-f', path);
    expect(code).toBe(65);
    expect(stdout).toBe('');
    expect(stderr.replaceAll(path, 'FILE')).toBe(`sluice apply: 6 faults were found, so nothing was sent:
  FILE:8 (document 2) /metadata/name: metadata.name must be a DNS label: at most 63 of a-z, 0-9 and "-", beginning and ending with a letter or digit, not "Bad"
  FILE:11 (document 3) /apiVersion: apiVersion must be "sluice.mesh/v1", not "v1"
  FILE:12 (document 3) /kind: kind must be one of Service, Workload, TrafficSplit, AuthorizationPolicy, MeshSettings, not "Split"
  FILE:11 (document 3) /metadata/name: metadata.name must be a DNS label: at most 63 of a-z, 0-9 and "-", beginning and ending with a letter or digit; it is missing
  FILE:20 (document 5): it is neither YAML nor JSON: Flow sequence in block collection must be sufficiently indented and end with a ]
  FILE:14 (document 4): it is also at FILE:1 (document 1); keep one of them
`);
    expect((await run('get', 'service', 'shop/good')).code).toBe(1);
  });

  it('shows the faults that the server finds where they stand, and changes nothing then', async () => {
    const path = file('refused.yaml', `${service('first')}---\n${split('-1', 'many')}---\n${service('last')}`);
    const { code, stdout, stderr } = await run('apply', '-f', path);
    expect(code).toBe(65);
    expect(stdout).toBe('');
    expect(stderr.replaceAll(path, 'FILE')).toBe(`sluice apply: this is not valid, so nothing was changed:
  FILE:12 (document 2) /spec/backends/0/weight: weight must be a whole number from 0 to 1000000
  FILE:13 (document 2) /spec/backends/1/weight: weight must be a whole number from 0 to 1000000
`);
    expect((await run('get', 'service', 'shop/first')).code).toBe(1);
  });

  it('refuses to overwrite what was changed since it was read', async () => {
    const { stdout } = await run('get', 'split', 'shop/cart', '-o', 'yaml');
    await sluice.cli(['apply', '-f', '-'], {}, split('70', '30'));
    const late = await sluice.cli(['apply', '-f', '-'], {}, stdout);
    expect(late.code).toBe(1);
    expect(late.stderr).toMatch(
      /stdin:1: TrafficSplit shop\/cart was changed in revision \d+.*\nNothing was changed\.\n$/,
    );
  });

  it('says what it would come to, and is held to that', async () => {
    await sluice.cli(['apply', '-f', '-'], {}, `${service('cart')}---\n${split('70', '30')}`);
    const documents = `${split('60', '40')}---\n${service('cart-v1')}`;
    const dry = await sluice.cli(['apply', '-f', '-', '--dry-run'], {}, documents);
    expect(dry).toMatchObject({ code: 0, stderr: '' });
    expect(dry.stdout.replace(/[0-9a-f]{64}/, 'HASH')).toBe(`TrafficSplit shop/cart changed (dry run)
Service shop/cart-v1 created (dry run)
~ TrafficSplit shop/cart
    /spec/backends/0/weight: 70 -> 60
    /spec/backends/1/weight: 30 -> 40
+ Service shop/cart-v1
  TrafficSplit shop/cart, no longer: ResolvedRefs (BackendNotFound): there is no service "cart-v1"; its share is answered with 500
it concerns no proxy
to carry out just this: --plan HASH
`);
    const [plan = ''] = /[0-9a-f]{64}/.exec(dry.stdout) ?? [];
    await sluice.cli(['apply', '-f', '-'], {}, split('50', '50'));
    const moved = await sluice.cli(['apply', '-f', '-', '--plan', plan], {}, documents);
    expect(moved).toMatchObject({ code: 1, stdout: '' });
    expect(moved.stderr).toMatch(/something else than was planned.*\/spec\/backends\/0\/weight: 50 -> 60/s);
    const [next = ''] = /[0-9a-f]{64}/.exec(moved.stderr) ?? [];
    const done = await sluice.cli(['apply', '-f', '-', '--plan', next], {}, documents);
    expect(done).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^TrafficSplit shop\/cart changed \(revision/),
    });
    await run('delete', 'service', 'shop/cart-v1', '--force');
  });

  it('takes away what an owner has no more', async () => {
    const apply = (text: string) => sluice.cli(['apply', '-f', '-', '--owner', 'team'], {}, text);
    await apply(`${service('one', 'owned')}---\n${service('two', 'owned')}`);
    expect((await apply(service('two', 'owned'))).stdout).toMatch(
      /^Service owned\/two unchanged\nService owned\/one removed \(revision \d+\)\n$/,
    );
  });
});

describe('apply --force', () => {
  it('is what it takes to take from workloads what a policy protects, and is no word for settings', async () => {
    const client = await JoinedClient.join(doorsOf(sluice), 'kept', { name: 'till-1', service: 'till' });
    await client.report({});
    const document = (kind: string, name: string, spec: object) =>
      JSON.stringify({ apiVersion: 'sluice.mesh/v1', kind, metadata: { name, namespace: 'kept' }, spec });
    const till = (selector?: object) =>
      document('Service', 'till', { ports: [{ port: 80 }], ...(selector && { selector }) });
    const rules = [{ from: [{ namespace: 'kept' }] }];
    const policy = document('AuthorizationPolicy', 'till', { target: { service: 'till' }, action: 'Allow', rules });
    const apply = (documents: readonly string[], ...flags: string[]) =>
      sluice.cli(['apply', '-f', '-', ...flags], {}, documents.join('\n---\n'));
    expect(await apply([till(), policy])).toMatchObject({ code: 0 });
    const refused = await apply([till({ app: 'other' })]);
    expect(refused.code).not.toBe(0);
    expect(refused.stderr).toContain('AuthorizationPolicy kept/till');
    const settings = (await run('get', 'settings', '-o', 'json')).stdout;
    expect(await apply([till({ app: 'other' }), settings], '--force')).toMatchObject({ code: 0, stderr: '' });
    // Or it would be waited for, and be lost, in what follows.
    await client.leave();
    client.close();
  });
});

describe('a proxy that is lost', () => {
  it('is named, and waited for by whoever says so', async () => {
    await using other = await startSluice({ settings: { 'proxy-lease': '1s' } });
    const client = await JoinedClient.join(doorsOf(other), 'shop', { name: 'gone' });
    await client.report({});
    client.close();
    const isLost = async () => (await other.cli(['get', 'proxies'])).stdout.includes('lost');
    await other.server.until('it is lost', isLost);
    const apply = (name: string, ...flags: string[]) =>
      other.cli(['apply', '-f', '-', '--wait', '100%', '--timeout', '50ms', ...flags], {}, service(name));
    expect(await apply('one')).toMatchObject({
      code: 0,
      stderr: expect.stringContaining(`shop/gone (enrolment ${client.enrolment}) is lost`),
    });
    expect(await apply('two', '--lost', 'count')).toMatchObject({ code: 79 });
    const wait = ['wait', '--timeout', '50ms'];
    expect(await other.cli([...wait, '--lost', 'ignore'])).toMatchObject({ code: 0 });
    expect(await other.cli([...wait, '--lost', 'count'])).toMatchObject({ code: 79 });
    expect(await other.cli(['delete', 'service', 'shop/two', '--lost', 'count'])).toMatchObject({
      code: 64,
      stderr: expect.stringContaining('--lost means nothing without --wait'),
    });
  });
});

describe('get', () => {
  it('shows a namespace, or as much of it as is wanted', async () => {
    await sluice.cli(['apply', '-f', '-'], {}, ['a', 'b', 'c'].map((name) => service(name, 'abc')).join('---\n'));
    expect((await run('get', 'services', '-n', 'abc', '-o', 'name')).stdout).toBe('abc/a\nabc/b\nabc/c\n');
    expect((await run('get', 'svc', '-n', 'abc', '--limit', '2', '-o', 'name')).stdout).toBe('abc/a\nabc/b\n');
    expect((await run('get', 'service', 'c', 'abc/a', '-n', 'abc', '-o', 'name')).stdout).toBe('abc/c\nabc/a\n');
  });

  it('shows all namespaces, and those objects that are selected', async () => {
    const labelled = `${service('web', 'sel-b').replace('metadata: {', 'metadata: { labels: { tier: web }, ')}`;
    await sluice.cli(['apply', '-f', '-'], {}, `${labelled}---\n${service('api', 'sel-a')}`);
    const all = await run('get', 'services', '-A');
    expect(all.stdout).toMatch(/^NAMESPACE +NAME +PORTS .*\nabc +a .*\n(.*\n)*sel-a +api .*\nsel-b +web .*\n/);
    expect((await run('get', 'svc', '-A', '-l', 'tier in (web,api)', '-o', 'name')).stdout).toBe('sel-b/web\n');
    const field = await run('get', 'svc', '-A', '--field-selector', 'metadata.namespace=sel-a', '-o', 'name');
    expect(field.stdout).toBe('sel-a/api\n');
    const none = await run('get', 'svc', '-A', '-l', 'tier=none');
    expect(none).toMatchObject({ stdout: '', stderr: 'there are no services that are selected so\n' });
    expect(await run('get', 'svc', '-A', '-l', 'tier=')).toMatchObject({ code: 0 });
    expect((await run('get', 'svc', '-A', '-l', 'tier?')).stderr).toMatch(/labelSelector: "tier\?" is no requirement/);
  });

  it('keeps data and talk apart', async () => {
    const none = await run('get', 'policies', '-n', 'nowhere');
    expect(none).toMatchObject({ code: 0, stdout: '' });
    expect(none.stderr).toBe('there are no authorization policies in namespace "nowhere"\n');
    expect((await run('get', 'policies', '-n', 'nowhere', '-o', 'json')).stdout).toBe('{\n  "items": []\n}\n');
    const one = await run('get', 'split', 'shop/cart');
    expect(one.stdout).toMatch(/^NAME .*\ncart .*True \(BackendNotFound\).*\n$/);
    expect(one.stderr).toMatch(/^ResolvedRefs is False \(BackendNotFound\): there is no service "cart-v1"/);
  });
});

it('deletes what is there, and says so when it is not', async () => {
  await sluice.cli(['apply', '-f', '-'], {}, service('gone'));
  const gone = await run('delete', 'service', 'gone', '-n', 'shop', '--wait', '100%');
  expect(gone).toMatchObject({ code: 0 });
  expect(gone.stdout).toMatch(/^Service shop\/gone deleted \(revision \d+\)\n$/);
  expect(gone.stderr).toMatch(/^revision \d+: no proxy wants what revision \d+ changed\n$/);
  const again = await run('delete', 'service', 'shop/gone');
  expect(again).toMatchObject({ code: 1, stdout: '', stderr: 'sluice delete: there is no Service shop/gone\n' });
});

it('makes tokens that work until they are revoked, and prints nothing else where they are caught', async () => {
  const made = await run('token', 'create', 'pipeline', '--expires-in', '1h');
  expect(made.stdout).toMatch(/^slcapi_\S+\n$/);
  const asPipeline = { SLUICE_TOKEN: made.stdout };
  expect((await sluice.cli(['apply', '-f', '-'], asPipeline, service('by-pipeline'))).code).toBe(0);
  expect((await run('get', 'revisions', '--limit', '1')).stdout).toMatch(/ pipeline /);
  expect((await run('token', 'list')).stdout).toMatch(/^NAME .*\nadmin .* never\npipeline .*Z\n$/);
  expect((await run('token', 'revoke', 'pipeline')).code).toBe(0);
  const refused = await sluice.cli(['get', 'services'], asPipeline);
  expect(refused.code).toBe(77);
  expect(refused.stderr).toMatch(/not known or has expired.*\nIt came from the variable SLUICE_TOKEN/);
  const join = await run('token', 'join', '--name', 'cart-v1', '-n', 'shop', '--service', 'cart', '-l', 'version=v1');
  expect(join.stdout).toMatch(/^slcjoin_\S+\n$/);
  expect(join.stderr).toMatch(/is workload shop\/cart-v1 with identity spiffe:\/\/sluice\.local\/ns\/shop\/sa\/cart/);
});

describe('exit codes', () => {
  it.each<[sentence: string, code: number, args: string[], stderr: RegExp]>([
    ['no command', 64, [], /^Usage: sluice/],
    ['an unknown command', 64, ['gett'], /^sluice: unknown command 'gett'\n\(Did you mean get\?\)/],
    [
      'an unknown option',
      64,
      ['get', 'services', '--all'],
      /^sluice get: unknown option '--all'\n.*sluice get --help/s,
    ],
    ['two ways to choose', 64, ['get', 'services', 'a', '-l', 'b=c'], /chosen by their names, or with -A, -l and/],
    ['one of all namespaces', 64, ['get', 'services', '-A', '-n', 'shop'], /-A means all namespaces, and -n one/],
    ['labels of revisions', 64, ['get', 'revisions', '-l', 'a=b'], /revisions have no labels and fields/],
    [
      'a dry run that waits',
      64,
      ['apply', '-f', 'x', '--dry-run', '--wait', '1'],
      /changes nothing that could be waited/,
    ],
    ['a plan of a plan', 64, ['apply', '-f', 'x', '--dry-run', '--plan', 'x'], /--dry-run makes a plan, and --plan/],
    ['an unknown kind', 64, ['get', 'pods'], /there is no kind "pods"; there are:\n {2}services/],
    ['a missing file', 65, ['apply', '-f', '/nowhere.yaml'], /\/nowhere\.yaml cannot be read: there is no such file/],
    [
      'a name that the server refuses',
      65,
      ['token', 'join', '--name', 'x', '-n', 'sluice'],
      /is that of the control plane/,
    ],
    ['an object that is not there', 1, ['get', 'service', 'shop/none'], /there is no Service shop\/none/],
    ['a revision that is not there', 1, ['wait', '99999'], /there is no revision 99999/],
    [
      'nobody at the address',
      69,
      ['get', 'services', '--url', 'https://127.0.0.1:1'],
      /cannot be reached at https:\/\/127\.0\.0\.1:1: nothing listens there\nStart it with "sluice server"/,
    ],
    ['a plain HTTP address', 64, ['get', 'services', '--url', 'http://127.0.0.1:1'], /it must be https:\/\//],
    ['another mesh', 69, ['get', 'services', '--trust-anchors', 'OTHER-CA'], /is not the control plane of/],
    [
      'no trust anchors',
      69,
      ['get', 'services', '--trust-anchors', '/nowhere.pem'],
      /\/nowhere\.pem cannot be read \(ENOENT\)\n.*sluice server/,
    ],
    [
      'no token',
      77,
      ['get', 'services', '--token-file', '/nowhere.token'],
      /\/nowhere\.token cannot be read \(ENOENT\)\n.*admin\.token/,
    ],
    [
      'proxies that are not there in time',
      79,
      ['wait', '--for', '3', '--timeout', '50ms'],
      /no proxy wants what revision \d+ changed; 3 were asked for\nAsk again/,
    ],
  ])('%s: %i', async (_, code, args, stderr) => {
    const other = file('other-ca.pem', rootCertificates[0] ?? '');
    const result = await run(...args.map((arg) => (arg === 'OTHER-CA' ? other : arg)));
    expect(result.stderr).toMatch(stderr);
    expect(result).toMatchObject({ code, stdout: '' });
  });

  it('help and version are no failures, and the help lists the codes', async () => {
    expect((await run('--version')).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
    const help = await run('--help');
    expect(help).toMatchObject({ code: 0, stderr: '' });
    expect(help.stdout).toMatch(/Exit codes:\n( {2}\d+ +.+\n)+$/);
    for (const command of ['server', 'run', 'apply', 'get', 'delete', 'wait', 'token']) {
      expect(await run(command, '--help')).toMatchObject({ code: 0, stderr: '' });
    }
  });

  it('a server that cannot start', async () => {
    expect(await run('server', '--api-listen', 'here')).toMatchObject({ code: 64, stdout: '' });
    const taken = await run('server', '--data-dir', join(files, 'data'), '--api-listen', new URL(sluice.url).host);
    expect(taken).toMatchObject({ code: 1, stdout: '' });
    expect(taken.stderr).toMatch(/^sluice server: cannot listen on \S+: another process does already/m);
  });
});

describe('run', () => {
  /** Stands in for the sidecar: says what it was given. */
  const fake = (): string => {
    const path = file('fake-proxy', `#!/bin/sh\necho "pid $$"; echo "args $*"; env | sort\n`);
    chmodSync(path, 0o755);
    return path;
  };
  const start = (args: string[], env: Record<string, string> = {}) =>
    sluice.cli(['run', ...args], { SLUICE_PROXY_BIN: fake(), SLUICE_TOKEN_FILE: sluice.tokenFile, ...env });

  it('becomes the sidecar, with a token that only its owner can read and no token of the API', async () => {
    const args = [
      '-n',
      'shop',
      '--name',
      'cart-v1',
      '-s',
      'cart',
      '-p',
      '9001',
      '--xds',
      sluice.xds,
      '--',
      'echo',
      '-n',
      '--',
    ];
    const { code, stdout, stderr } = await start(args, { SLUICE_LOG: 'warn' });
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toContain('args -- echo -n --\n');
    const state = join(sluice.home, 'workloads', 'shop', 'cart-v1');
    expect(stdout.match(/^SLUICE_\w+=.*/gm)).toEqual([
      'SLUICE_APP_PORT=9001',
      'SLUICE_JOIN_ADDR=127.0.0.1:8445',
      `SLUICE_JOIN_TOKEN_FILE=${join(state, 'join-token')}`,
      'SLUICE_LOG=warn',
      `SLUICE_STATE_DIR=${state}`,
      `SLUICE_TRUST_ANCHORS=${sluice.trustAnchors}`,
      `SLUICE_XDS_ADDR=${sluice.xds}`,
    ]);
    expect(readFileSync(join(state, 'join-token'), 'utf8')).toMatch(/^slcjoin_\S+\n$/);
    expect(statSync(join(state, 'join-token')).mode & 0o777).toBe(0o600);
    expect(statSync(state).mode & 0o777).toBe(0o700);
  });

  it('starts from the identity of last time when there is no control plane, and only then', async () => {
    const args = ['--name', 'again', '--url', 'https://127.0.0.1:1', '--', 'echo'];
    expect(await start(args)).toMatchObject({ code: 69, stdout: '' });
    const state = join(sluice.home, 'workloads', 'default', 'again');
    writeFileSync(join(state, 'identity.json'), '{}');
    const { code, stdout, stderr } = await start(args);
    expect(code).toBe(0);
    expect(stderr).toMatch(/cannot be reached.*; starting with the identity of last time/);
    expect(stdout).toContain(`SLUICE_STATE_DIR=${state}\n`);
    expect(stdout).not.toContain('SLUICE_JOIN_TOKEN_FILE');
    expect(existsSync(join(state, 'join-token'))).toBe(false);
  });

  it.each<[sentence: string, code: number, args: string[], env: Record<string, string>, stderr: RegExp]>([
    ['a program that is not there', 64, ['--', 'no-such-program'], {}, /there is no program "no-such-program"/],
    ['nobody to be', 64, [], {}, /give --service, or --name/],
    ['a misspelt variable', 64, ['--', 'echo'], { SLUICE_LOGG: 'info' }, /there is no variable SLUICE_LOGG/],
    [
      'a sidecar that is not there',
      1,
      ['--', 'echo'],
      { SLUICE_PROXY_BIN: '/nowhere' },
      /names \/nowhere, and that is no program/,
    ],
    ['the namespace of the control plane', 65, ['-n', 'sluice', '--', 'echo'], {}, /choose another one/],
  ])('refuses %s', async (_, code, args, env, stderr) => {
    const result = await start(args, env);
    expect(result.stderr).toMatch(stderr);
    expect(result).toMatchObject({ code, stdout: '' });
  });
});

describe('with a sidecar', () => {
  it('ends as the proxies obey: at once, not in time, or not at all', async () => {
    const web = await sluice.workload('web', { service: 'web', env: { SLUICE_MAX_RULES: '1' } });
    const policy = (...callers: string[]) =>
      JSON.stringify({
        apiVersion: 'sluice.mesh/v1',
        kind: 'AuthorizationPolicy',
        metadata: { name: 'web', namespace: 'shop' },
        spec: {
          target: { labels: { 'sluice.mesh/service': 'web' } },
          action: 'Allow',
          rules: callers.map((namespace) => ({ from: [{ namespace }] })),
        },
      });
    const apply = (text: string, timeout = '10s') =>
      sluice.cli(['apply', '-f', '-', '--wait', '100%', '--timeout', timeout], {}, text);

    const obeyed = await apply(policy('shop'));
    expect(obeyed.stderr).toMatch(/^revision \d+: 1 of 1 proxies hold what revision \d+ changed\n$/);
    expect(obeyed.code).toBe(0);

    web.pause();
    const late = await apply(policy('till'), '300ms');
    expect(late.stderr).toMatch(
      /0 of 1 proxies hold what revision \d+ changed; not these:\n {2}shop\/web \(pending\): .*\nAsk again/,
    );
    expect(late.code).toBe(79);
    web.resume();
    expect(await run('wait', '--timeout', '10s')).toMatchObject({ code: 0, stderr: '' });

    const refused = await apply(policy('shop', 'till'));
    expect(refused.stderr).toMatch(/not these:\n {2}shop\/web \(refused\): it refused inbound\/shop\/web:\d+: .*2.*1/);
    expect(refused.code).toBe(80);
    expect((await run('get', 'proxies')).stdout).toMatch(/shop\/web +connected .* inbound\/shop\/web:\d+: /);
    expect((await run('wait', '-o', 'json')).stdout).toContain('"reason": "refused"');
  });
});

it('runs through links, from anywhere', async () => {
  const link = join(files, 'link');
  const { execFileSync, spawnSync } = await import('node:child_process');
  execFileSync('ln', ['-s', join(import.meta.dirname, '..', '..', 'bin', 'sluice'), link]);
  expect(spawnSync(link, ['--version'], { cwd: '/', encoding: 'utf8' }).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
});
