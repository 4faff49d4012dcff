/** Writes a snapshot as its golden file has it: readable, with the very bytes beside. */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import protobuf from 'protobufjs';
import type { Snapshot } from '../../src/compile/compile.js';
import { printRef } from '../../src/model/document.js';

const require = createRequire(import.meta.url);
const deps = join(dirname(require.resolve('@grpc/grpc-js-xds/package.json')), 'deps');

/** Read from the .proto files at run time: a second opinion on what the generated code wrote. */
const registry = loadRegistry();

export const printSnapshot = ({ resources, problems }: Snapshot): string =>
  `${JSON.stringify(
    {
      resources: [...resources.values()].flatMap((byName) =>
        [...byName.values()].map(({ type, name, version, causes, bytes }) => ({
          type,
          name,
          version,
          causes: causes.map(printRef),
          resource: readable({ type_url: type, value: bytes }),
          bytes: Buffer.from(bytes).toString('base64'),
        })),
      ),
      problems: problems.map(({ ref, ...problem }) => ({ object: printRef(ref), ...problem })),
    },
    null,
    2,
  )}\n`;

interface Any {
  readonly type_url: string;
  /** Absent: empty. */
  readonly value?: Uint8Array;
}

export function readable({ type_url, value = new Uint8Array() }: Any): unknown {
  const type = registry.lookupType(type_url.slice(type_url.lastIndexOf('/') + 1));
  return {
    '@type': type_url,
    ...(expand(type.toObject(type.decode(value), { enums: String, longs: Number })) as object),
  };
}

/** Opens every google.protobuf.Any inside. */
function expand(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(expand);
  if (typeof value !== 'object' || value === null) return value;
  if ('type_url' in value) return readable(value as Any);
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, expand(member)]));
}

function loadRegistry(): protobuf.Root {
  const root = new protobuf.Root();
  const descriptor = require('protobufjs/google/protobuf/descriptor.json') as Record<string, unknown>;
  protobuf.common('google/protobuf/descriptor.proto', descriptor);
  const search = ['envoy-api', 'xds', 'googleapis', 'protoc-gen-validate'];
  root.resolvePath = (_origin, target) =>
    target.startsWith('google/protobuf/')
      ? target
      : (search.map((part) => join(deps, part, target)).find((path) => existsSync(path)) ?? target);
  root.loadSync(require('../../proto/xds-roots.json') as string[], { keepCase: true });
  return root;
}
