/** What `get` and `delete` can be asked for: its names on the command line, its place in the API, what tells one apart. */
import { KINDS, type Kind, type KindDefinition } from '../model/kinds.js';
import { EXIT } from './exit.js';
import { Failure } from './failure.js';
import { segment } from './rest.js';

/** What there is besides documents. */
export type View = 'Revision' | 'Proxy';

export interface Resource {
  readonly kind: Kind | View;
  /** What people may call it, the first of them in messages and help. Case and "-" do not count. */
  readonly names: readonly [string, ...string[]];
  /**
   * How its objects are named: in a namespace, by a `namespace/name` of the whole mesh, by a word of the whole mesh, or
   * not at all because there is just one.
   */
  readonly naming: 'in namespace' | 'across namespaces' | 'in mesh' | 'only one';
  /** The words of its path after /v1, and after the namespace if it is in one. */
  readonly collection: string;
}

type Named = Omit<KindDefinition, 'references'>;

const ofKind = ({ kind, collection, noun, shortNames, namespaced, onlyName }: Named): Resource => {
  const [plural, singular] = [collection, noun.replaceAll(' ', '-')];
  const long = onlyName === undefined ? [plural, singular] : [plural];
  return {
    kind,
    names: [...long, ...shortNames] as [string, ...string[]],
    naming: onlyName !== undefined ? 'only one' : namespaced ? 'in namespace' : 'in mesh',
    collection,
  };
};

const VIEWS: readonly Resource[] = [
  { kind: 'Revision', names: ['revisions', 'revision', 'rev'], naming: 'in mesh', collection: 'revisions' },
  { kind: 'Proxy', names: ['proxies', 'proxy', 'px'], naming: 'across namespaces', collection: 'proxies' },
];

export const RESOURCES: readonly Resource[] = [...Object.values<Named>(KINDS).map(ofKind), ...VIEWS];

export const resourceOfKind = (kind: Kind): Resource => ofKind(KINDS[kind]);

const plain = (word: string): string => word.toLowerCase().replaceAll('-', '');

/** The resource that `word` names. Throws a usage failure that lists those that there are. */
export function findResource(word: string): Resource {
  const found = RESOURCES.find(({ kind, names }) => [kind, ...names].some((name) => plain(name) === plain(word)));
  if (found) return found;
  throw new Failure(
    EXIT.usage,
    `there is no kind "${word}"; there are:`,
    RESOURCES.map(({ names: [first, ...others] }) => `${first} (${others.join(', ')})`),
  );
}

/** Names one object: a namespace, empty where there is none, and a name. */
export interface Place {
  readonly namespace: string;
  readonly name: string;
}

/** Where `NAME` or `NAMESPACE/NAME` of the command line is. Throws a usage failure when it says it two ways. */
export function placeOf({ naming }: Resource, text: string, namespace: string | undefined): Place {
  if (naming === 'in mesh' || naming === 'only one') return { namespace: '', name: text };
  const [first = '', second, ...rest] = text.split('/');
  if (rest.length > 0 || first === '' || second === '') {
    throw new Failure(EXIT.usage, `"${text}" is no name; write NAME or NAMESPACE/NAME`);
  }
  if (second === undefined) return { namespace: namespace ?? DEFAULT_NAMESPACE, name: first };
  if (namespace !== undefined && namespace !== first) {
    throw new Failure(EXIT.usage, `"${text}" is in namespace "${first}", and -n says "${namespace}"; leave one out`);
  }
  return { namespace: first, name: second };
}

/** The namespace of whoever names none, as in Kubernetes. */
export const DEFAULT_NAMESPACE = 'default';

/** The path of all objects of a resource, or of those of `namespace`, which counts where there is one. */
export function listPath({ naming, collection }: Resource, namespace?: string): string {
  return naming === 'in namespace' && namespace !== undefined
    ? `/v1/namespaces/${segment(namespace)}/${collection}`
    : `/v1/${collection}`;
}

/** The path of one object. */
export function objectPath(resource: Resource, { namespace, name }: Place): string {
  if (resource.naming === 'only one') return listPath(resource);
  const owner = resource.naming === 'across namespaces' ? `${segment(namespace)}/` : '';
  return `${listPath(resource, namespace)}/${owner}${segment(name)}`;
}
