import { describe, expect, it } from 'vitest';
import { findDocuments, readSources } from './document-files.js';
import { Failure } from './failure.js';

const service = (metadata: string): string =>
  `apiVersion: sluice.mesh/v1\nkind: Service\nmetadata: ${metadata}\nspec: {ports: [{port: 80}]}\n`;

const find = (text: string, namespace?: string) => findDocuments([{ name: 'f.yaml', text }], namespace);

function faultsOf(text: string, namespace?: string): readonly string[] {
  try {
    find(text, namespace);
    return [];
  } catch (error) {
    return error instanceof Failure
      ? [...error.places, ...(error.places.length > 0 ? [] : [error.message])]
      : [String(error)];
  }
}

it.each([
  ['UTF-16 with its mark', Buffer.from('\ufeffkind: Service', 'utf16le')],
  ['Latin 1', Buffer.from('kind: Servi\xe7e', 'latin1')],
])('says of a text in %s that it is not UTF-8', async (_, bytes) => {
  await expect(readSources('-', () => Promise.resolve(bytes))).rejects.toThrow('stdin is not UTF-8; save it as UTF-8');
});

describe('the place of a document', () => {
  it.each<[sentence: string, metadata: string, option: string | undefined, namespace: string]>([
    ['is what it says', '{name: a, namespace: shop}', undefined, 'shop'],
    ['is what -n says if it says nothing', '{name: a}', 'till', 'till'],
    ['may be said twice', '{name: a, namespace: shop}', 'shop', 'shop'],
    ['is "default" if nobody says anything', '{name: a}', undefined, 'default'],
  ])('%s', (_, metadata, option, namespace) => {
    expect(find(service(metadata), option)).toMatchObject([{ kind: 'Service', place: { namespace, name: 'a' } }]);
  });

  it('is the mesh for its settings, whatever -n says', () => {
    const settings =
      'apiVersion: sluice.mesh/v1\nkind: MeshSettings\nmetadata: {name: mesh}\nspec: {defaultMode: deny}\n';
    expect(find(settings, 'shop')).toMatchObject([{ kind: 'MeshSettings', place: { namespace: '', name: 'mesh' } }]);
  });
});

it('finds documents in lists as get prints them, and says where in them things are', () => {
  const list = `items:\n${['a', 'b'].map((name) => `  - ${service(`{name: ${name}}`).trim().replaceAll('\n', '\n    ')}\n`).join('')}`;
  const [first, second, ...others] = find(list);
  expect(others).toEqual([]);
  expect(first?.where('')).toBe('f.yaml:2 /items/0');
  expect(second?.where('/spec/ports/0/port')).toBe('f.yaml:9 /items/1/spec/ports/0/port');
  expect(second?.where('/spec/nothing')).toBe('f.yaml:9 /items/1/spec/nothing');
});

it('passes over what holds only comments, and counts it', () => {
  const text = `${service('{name: a}')}---\n# not now\n---\n${service('{name: b}')}`;
  expect(find(text).map(({ where }) => where('/metadata'))).toEqual([
    'f.yaml:3 (document 1) /metadata',
    'f.yaml:10 (document 3) /metadata',
  ]);
});

describe('faults', () => {
  it.each<[sentence: string, text: string, namespace: string | undefined, faults: readonly RegExp[]]>([
    ['nothing at all', '', undefined, [/^there is no document in f\.yaml$/]],
    ['only comments', '# nothing\n', undefined, [/^there is no document in f\.yaml$/]],
    [
      'a merge key',
      'apiVersion: sluice.mesh/v1\nkind: Service\nmetadata: &m {name: a}\nspec:\n  <<: *m\n  ports: [{port: 80}]\n',
      undefined,
      [/^f\.yaml:5: "<<" merges nothing in YAML 1\.2/],
    ],
    ['no object', '- 1\n', undefined, [/^f\.yaml:1: a document must be an object/]],
    ['an empty list', 'items: []\n', undefined, [/^there is no document/]],
    ['another -n', service('{name: a, namespace: shop}'), 'till', [/^f\.yaml:3 .*is "shop", and -n says "till"/]],
    ['a namespace that is none', service('{name: a, namespace: 7}'), undefined, [/namespace must be .*, not 7$/]],
    ['no name', service('{}'), undefined, [/name must be .*; it is missing$/]],
    [
      'other settings of the mesh',
      service('{name: a}').replace('Service', 'MeshSettings'),
      undefined,
      [/must be "mesh"/],
    ],
    ['a key twice', 'a: 1\na: 2\n', undefined, [/^f\.yaml:2: .*Map keys must be unique/]],
    ['a broken end', '{"kind": "Service"', undefined, [/^f\.yaml:1: it is neither YAML nor JSON: /]],
    [
      'the same object twice',
      `${service('{name: a}')}---\n${service('{name: a, namespace: default}')}`,
      undefined,
      [/^f\.yaml:6 \(document 2\): it is also at f\.yaml:1 \(document 1\); keep one of them$/],
    ],
    [
      'aliases that would fill the memory',
      `a: &a [x, x, x, x, x, x, x, x, x, x]\nb: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a, *a]\nc: [*b, *b, *b, *b, *b, *b, *b, *b, *b, *b, *b]\n`,
      undefined,
      [/^f\.yaml:1: .*[Ee]xcessive alias/],
    ],
  ])('%s', (_, text, namespace, faults) => {
    expect(faultsOf(text, namespace)).toEqual(faults.map((fault) => expect.stringMatching(fault) as string));
  });
});
