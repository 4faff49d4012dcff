/** From the files that `apply` is given to documents that can be sent: everything is read and checked before anything is. */
import { readFileSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { LineCounter, isScalar, parseAllDocuments, visit, type Document as YamlDocument } from 'yaml';
import { API_VERSION } from '../model/document.js';
import { pointer } from '../model/fault.js';
import { KINDS, type Kind } from '../model/kinds.js';
import { MESH_SETTINGS_NAME } from '../model/mesh-settings.js';
import { isDnsLabel } from '../model/names.js';
import { EXIT } from './exit.js';
import { Failure } from './failure.js';
import { DEFAULT_NAMESPACE, type Place } from './resources.js';

/** A document with where it was found, so that whatever is wrong with it can be shown there. */
export interface FoundDocument {
  readonly kind: Kind;
  readonly place: Place;
  /** As it is sent. */
  readonly body: object;
  /** `mesh.yaml:14 (document 2)` for a JSON pointer into it. */
  readonly where: (at: string) => string;
}

/** A text with documents in it. */
export interface Source {
  /** As people know it: a path, or `stdin`. */
  readonly name: string;
  readonly text: string;
}

const EXTENSIONS = ['.yaml', '.yml', '.json'];

/** The texts of a file, of a directory's files by name (not of its directories), or of stdin, which is `-`. */
export async function readSources(path: string, stdin: () => Promise<Uint8Array>): Promise<Source[]> {
  if (path === '-') return [decode('stdin', await stdin())];
  try {
    if (!statSync(path).isDirectory()) return [decode(path, readFileSync(path))];
    const names = readdirSync(path).filter((name) => EXTENSIONS.some((extension) => name.endsWith(extension)));
    if (names.length > 0) {
      return names.sort().map((name) => decode(join(path, name), readFileSync(join(path, name))));
    }
  } catch (error) {
    if (error instanceof Failure) throw error;
    const { code, message } = error as NodeJS.ErrnoException;
    const why = code === 'ENOENT' ? 'there is no such file or directory' : message;
    throw new Failure(EXIT.badInput, `${path} cannot be read: ${why}`);
  }
  throw new Failure(EXIT.badInput, `directory ${path} holds no file that ends in ${EXTENSIONS.join(', ')}`);
}

/** Bytes that are another kind of letters would be read as something that nobody wrote. */
function decode(name: string, bytes: Uint8Array): Source {
  try {
    return { name, text: new TextDecoder('utf-8', { fatal: true }).decode(bytes) };
  } catch {
    throw new Failure(EXIT.badInput, `${name} is not UTF-8; save it as UTF-8`);
  }
}

/** Every document of `sources`, for `namespace` where they name none. Throws bad input with all faults of all of them. */
export function findDocuments(sources: readonly Source[], namespace: string | undefined): FoundDocument[] {
  const faults: string[] = [];
  const documents = sources.flatMap((source) => readSource(source, namespace, faults));
  const seen = new Map<string, string>();
  for (const { kind, place, where } of documents) {
    const ref = `${kind} ${place.namespace}/${place.name}`;
    const earlier = seen.get(ref);
    if (earlier !== undefined) faults.push(`${where('')}: it is also at ${earlier}; keep one of them`);
    seen.set(ref, where(''));
  }
  if (faults.length > 0) {
    throw new Failure(EXIT.badInput, `${count(faults.length, 'fault')} found, so nothing was sent:`, faults);
  }
  if (documents.length === 0) {
    throw new Failure(EXIT.badInput, `there is no document in ${sources.map(({ name }) => name).join(', ')}`);
  }
  return documents;
}

const count = (number: number, noun: string): string => `${number} ${noun}${number === 1 ? ' was' : 's were'}`;

function readSource({ name, text }: Source, namespace: string | undefined, faults: string[]): FoundDocument[] {
  const lines = new LineCounter();
  const parsed = parseAllDocuments(text, { lineCounter: lines });
  return [...parsed].flatMap((yaml, index) => {
    const numbered = parsed.length > 1 ? ` (document ${index + 1})` : '';
    const [broken] = yaml.errors;
    if (broken) {
      const line = broken.linePos?.[0].line ?? 1;
      const [sentence = ''] = broken.message.split(/ at line \d+|\n/, 1);
      faults.push(`${name}:${line}${numbered}: it is neither YAML nor JSON: ${sentence}`);
      return [];
    }
    const where = (at: string) => `${name}:${lineOf(yaml, at, lines)}${numbered}${at && ` ${at}`}`;
    const merged = mergeKeyIn(yaml);
    if (merged !== undefined) {
      const line = lines.linePos(merged).line;
      faults.push(`${name}:${line}${numbered}: "<<" merges nothing in YAML 1.2; write the fields out, or use an alias`);
      return [];
    }
    const plain = toPlain(yaml, where, faults);
    // Nothing but comments.
    if (plain === null) return [];
    return partsOf(plain).flatMap(({ at, value }) => {
      const document = check(value, namespace, (fault, path) => faults.push(`${where(at + path)}: ${fault}`));
      return document ? [{ ...document, where: (path: string) => where(at + path) }] : [];
    });
  });
}

/** Where a merge key stands, which is of YAML 1.1: as a name like any other it would mislead. */
function mergeKeyIn(yaml: YamlDocument): number | undefined {
  let found: number | undefined;
  visit(yaml, {
    Pair(_, { key }) {
      if (!isScalar(key) || key.value !== '<<' || key.type !== 'PLAIN') return undefined;
      found = key.range?.[0] ?? 0;
      return visit.BREAK;
    },
  });
  return found;
}

/** The document itself, or each of its items if it is a list as `get` prints one. */
function partsOf(value: unknown): { readonly at: string; readonly value: unknown }[] {
  const items = isObject(value) && !('apiVersion' in value && 'metadata' in value) ? value.items : undefined;
  if (!Array.isArray(items)) return [{ at: '', value }];
  return items.map((item: unknown, index) => ({ at: pointer('items', index), value: item }));
}

/** The document as plain values; null for none. Aliases that would fill the memory are refused by the parser. */
function toPlain(yaml: YamlDocument, where: (at: string) => string, faults: string[]): unknown {
  try {
    return yaml.toJS();
  } catch (error) {
    faults.push(`${where('')}: ${(error as Error).message}`);
    return null;
  }
}

/** The line of what `at` points to, or of the nearest thing around it that is there. */
function lineOf(yaml: YamlDocument, at: string, lines: LineCounter): number {
  const path = at
    .split('/')
    .slice(1)
    .map((token) => token.replaceAll('~1', '/').replaceAll('~0', '~'));
  for (let depth = path.length; depth >= 0; depth -= 1) {
    const found = yaml.getIn(path.slice(0, depth), true) as { readonly range?: readonly number[] } | undefined;
    const offset = found?.range?.[0];
    if (offset !== undefined) return lines.linePos(offset).line;
  }
  return 1;
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

type FoundHere = Omit<FoundDocument, 'where'>;

/** What `value` is as a document. Tells `fault` everything that keeps it from being sent; the rest is the server's to judge. */
function check(
  value: unknown,
  inNamespace: string | undefined,
  fault: (sentence: string, at: string) => void,
): FoundHere | undefined {
  if (!isObject(value)) {
    fault('a document must be an object with apiVersion, kind, metadata and spec', '');
    return undefined;
  }
  let sound = true;
  const refuse = (sentence: string, at: string) => {
    sound = false;
    fault(sentence, at);
  };
  const kind = Object.keys(KINDS).find((known) => known === value.kind) as Kind | undefined;
  if (value.apiVersion !== API_VERSION) {
    refuse(`apiVersion must be "${API_VERSION}"${said(value.apiVersion)}`, '/apiVersion');
  }
  if (!kind) refuse(`kind must be one of ${Object.keys(KINDS).join(', ')}${said(value.kind)}`, '/kind');
  const { name, namespace } = isObject(value.metadata) ? value.metadata : {};
  const label = 'a DNS label: at most 63 of a-z, 0-9 and "-", beginning and ending with a letter or digit';
  if (kind === 'MeshSettings') {
    if (name !== MESH_SETTINGS_NAME) {
      refuse(`metadata.name must be "${MESH_SETTINGS_NAME}": there is one such object${said(name)}`, '/metadata/name');
    }
    return sound ? { kind, place: { namespace: '', name: MESH_SETTINGS_NAME }, body: value } : undefined;
  }
  if (typeof name !== 'string' || !isDnsLabel(name)) {
    refuse(`metadata.name must be ${label}${said(name)}`, '/metadata/name');
  }
  const owner = namespace ?? inNamespace ?? DEFAULT_NAMESPACE;
  if (typeof owner !== 'string' || !isDnsLabel(owner)) {
    refuse(`metadata.namespace must be ${label}${said(owner)}`, '/metadata/namespace');
  } else if (inNamespace !== undefined && owner !== inNamespace) {
    refuse(`metadata.namespace is "${owner}", and -n says "${inNamespace}"; leave one out`, '/metadata/namespace');
  }
  return sound && kind ? { kind, place: { namespace: owner as string, name: name as string }, body: value } : undefined;
}

const said = (value: unknown): string => (value === undefined ? '; it is missing' : `, not ${JSON.stringify(value)}`);
