// Generates src/proto/messages.{js,d.ts}: the xDS messages that the control plane speaks, from the .proto files that the
// npm package @grpc/grpc-js-xds carries, and our own from proto/. Run by `make`; nothing it writes is committed.
import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const require = createRequire(import.meta.url);
const root = dirname(dirname(fileURLToPath(import.meta.url)));
const deps = join(dirname(require.resolve('@grpc/grpc-js-xds/package.json')), 'deps');
const out = join(root, 'src', 'proto');

/** The xDS messages that are spoken here; what they need comes with them. */
const xds = require('./xds-roots.json');
const own = ['sluice/v1/identity.proto', 'sluice/v1/registration.proto', 'sluice/v1/refusal.proto'];
const paths = [
  join(root, 'proto'),
  ...['envoy-api', 'xds', 'googleapis', 'protoc-gen-validate'].map((part) => join(deps, part)),
].flatMap((path) => ['-p', path]);
const run = (tool, ...args) =>
  execFileSync(process.execPath, [require.resolve(`protobufjs-cli/bin/${tool}`), ...args], { stdio: 'inherit' });
const generate = (file, ...options) =>
  run(
    'pbjs',
    '-t',
    'static-module',
    '-w',
    'es6',
    '--keep-case',
    '--no-create',
    '--no-convert',
    '--no-delimited',
    '--no-verify',
    ...options,
    ...paths,
    '-o',
    file,
    ...xds,
    ...own,
  );

mkdirSync(out, { recursive: true });
const commented = join(out, 'commented.js');
generate(commented);
run('pbts', '-o', join(out, 'messages.d.ts'), commented);
rmSync(commented);
generate(join(out, 'messages.js'), '--no-comments');
