/** What a table shows of each kind of object: what people look for first. */
import type { Kind } from '../model/kinds.js';
import { SERVICE_LABEL } from '../model/names.js';
import type { Cell, Column } from './table.js';
import type { Resource, View } from './resources.js';

/** A document, a revision or a proxy as REST gives it. Read with care: the server may be newer than this. */
type Json = Readonly<Record<string, unknown>>;

/** What comes first where objects of several namespaces stand together. */
export const NAMESPACE: Column<Json> = {
  heading: 'NAMESPACE',
  cell: (item) => text(item, 'metadata', 'namespace'),
};

/** The columns of a resource. `now` is what ages are counted from. */
export function columnsOf({ kind }: Pick<Resource, 'kind'>, now: number): readonly Column<Json>[] {
  const age = (at: (item: Json) => unknown) => ({ heading: 'AGE', cell: (item: Json) => printAge(at(item), now) });
  const created = age((item) => member(item, 'metadata', 'createdAt'));
  const name = column('NAME', 'metadata', 'name');
  const byKind: Partial<Record<Kind | View, readonly Column<Json>[]>> = {
    Service: [
      name,
      { heading: 'PORTS', cell: (item) => list(item, 'spec', 'ports').map(printServicePort).join(', ') },
      { heading: 'SELECTOR', cell: printSelector },
      PROGRAMMED,
      created,
    ],
    Workload: [
      name,
      column('ADDRESS', 'spec', 'address'),
      {
        heading: 'PORTS',
        cell: (item) => list(item, 'spec', 'ports').map(printWorkloadPort).join(', ') || 'calls only',
      },
      column('IDENTITY', 'spec', 'identity'),
      { heading: 'HEALTH', cell: (item) => toned(text(item, 'spec', 'health'), 'Healthy') },
      created,
    ],
    TrafficSplit: [
      name,
      column('SERVICE', 'spec', 'service'),
      { heading: 'BACKENDS', cell: (item) => printBackends(list(item, 'spec', 'backends')) },
      PROGRAMMED,
      created,
    ],
    AuthorizationPolicy: [
      name,
      { heading: 'TARGET', cell: (item) => printTarget(member(item, 'spec', 'target')) },
      column('ACTION', 'spec', 'action'),
      column('MODE', 'spec', 'mode'),
      { heading: 'RULES', cell: (item) => String(list(item, 'spec', 'rules').length) },
      PROGRAMMED,
      created,
    ],
    MeshSettings: [
      name,
      column('DEFAULT MODE', 'spec', 'defaultMode'),
      { heading: 'CLUSTER NETWORKS', cell: (item) => list(item, 'spec', 'clusterNetworks').join(', ') },
      created,
    ],
    Revision: [
      column('NUMBER', 'number'),
      column('AUTHOR', 'author'),
      age((item) => item.at),
      { heading: 'CHANGES', cell: (item) => printChanges(list(item, 'changes')) },
      column('COMMENT', 'comment'),
    ],
    Proxy: [
      column('PROXY', 'id'),
      { heading: 'STATE', cell: (item) => toned(printState(item), 'connected') },
      age((item) => item.since),
      column('SERVES', 'serves'),
      column('LAG', 'lag'),
      { heading: 'REFUSAL', cell: printRefusal },
    ],
  };
  return byKind[kind] ?? [name, PROGRAMMED, created];
}

/** What `-o name` prints of an item: what commands take as NAME. */
export function printName(item: unknown): string {
  const [number, id] = [text(item, 'number'), text(item, 'id')];
  if (number !== '' || id !== '') return number || id;
  const [namespace, name] = [text(item, 'metadata', 'namespace'), text(item, 'metadata', 'name')];
  return namespace === '' ? name : `${namespace}/${name}`;
}

/** The conditions of a document that do not hold, a sentence each. */
export const unmetConditions = (item: unknown): string[] =>
  list(item, 'status', 'conditions')
    .filter((condition) => text(condition, 'status') === 'False')
    .map(
      (condition) =>
        `${text(condition, 'type')} is False (${text(condition, 'reason')}): ${text(condition, 'message')}`,
    );

/** How long ago `at` is, in the largest unit that it fills twice, as kubectl prints it. */
export function printAge(at: unknown, now: number): string {
  const seconds = Math.max(0, Math.floor((now - Date.parse(String(at))) / 1_000));
  if (Number.isNaN(seconds)) return '';
  if (seconds < 120) return `${seconds}s`;
  if (seconds < 7_200) return `${Math.floor(seconds / 60)}m`;
  return seconds < 172_800 ? `${Math.floor(seconds / 3_600)}h` : `${Math.floor(seconds / 86_400)}d`;
}

const PROGRAMMED: Column<Json> = {
  heading: 'PROGRAMMED',
  cell: (item) => {
    const conditions = list(item, 'status', 'conditions');
    const programmed = conditions.find((condition) => text(condition, 'type') === 'Programmed');
    const unmet = conditions.filter((condition) => text(condition, 'status') === 'False');
    if (unmet.length === 0) return text(programmed, 'status');
    const reasons = unmet.map((condition) => text(condition, 'reason')).join(', ');
    return { text: `${text(programmed, 'status')} (${reasons})`, tone: 'yellow' };
  },
};

function member(item: unknown, ...path: readonly string[]): unknown {
  return path.reduce<unknown>(
    (value, key) => (typeof value === 'object' && value !== null ? (value as Json)[key] : undefined),
    item,
  );
}

function text(item: unknown, ...path: readonly string[]): string {
  const value = member(item, ...path);
  return typeof value === 'string' || typeof value === 'number' ? String(value) : '';
}

function list(item: unknown, ...path: readonly string[]): readonly unknown[] {
  const value = member(item, ...path);
  return Array.isArray(value) ? value : [];
}

const column = (heading: string, ...path: readonly string[]): Column<Json> => ({
  heading,
  cell: (item) => text(item, ...path),
});

const toned = (word: string, good: string): Cell => (word === good ? word : { text: word, tone: 'red' });

/** `web=80:http/HTTP`: what it is called, what callers name, which workload port that is, and what is spoken. */
const printServicePort = (port: unknown): string => {
  const target = text(port, 'targetPort');
  return `${printNumber(port)}${target && `:${target}`}/${text(port, 'protocol')}`;
};

/** `http=9001@41001`: what it is called, what the program listens on, and where others reach it. */
const printWorkloadPort = (port: unknown): string => {
  const sidecarPort = text(port, 'sidecarPort');
  return `${printNumber(port)}${sidecarPort && `@${sidecarPort}`}`;
};

const printNumber = (port: unknown): string => {
  const name = text(port, 'name');
  return `${name && `${name}=`}${text(port, 'port')}`;
};

const printLabels = (labels: unknown): string =>
  Object.entries((labels ?? {}) as Json)
    .map(([key, value]) => `${key}=${String(value)}`)
    .join(',');

/** A service without a selector stands for the workloads that call themselves part of it. */
const printSelector = (item: Json): string =>
  printLabels(member(item, 'spec', 'selector') ?? { [SERVICE_LABEL]: text(item, 'metadata', 'name') });

/** Weights as shares, to a hundredth of a percent: `cart-v1 90%, cart-v2 10%`. */
function printBackends(backends: readonly unknown[]): string {
  const weights = backends.map((backend) => Number(member(backend, 'weight')));
  const sum = weights.reduce((a, b) => a + b, 0);
  return backends
    .map((backend, at) => {
      const percent = sum === 0 ? 0 : ((weights[at] ?? 0) * 100) / sum;
      return `${text(backend, 'service')} ${Math.round(percent * 100) / 100}%`;
    })
    .join(', ');
}

function printTarget(target: unknown): string {
  const [service, scope] = [text(target, 'service'), text(target, 'scope')];
  if (service !== '') return `service ${service}`;
  return scope !== '' ? scope.toLowerCase() : `labels ${printLabels(member(target, 'labels'))}`;
}

/** `TrafficSplit shop/cart created`; more than one are counted. */
function printChanges(changes: readonly unknown[]): string {
  const [first, ...others] = changes;
  if (first === undefined) return '';
  const { before, after } = first as Json;
  const verb = !before ? 'created' : after ? 'changed' : 'removed';
  const owner = text(first, 'ref', 'namespace');
  const ref = `${text(first, 'ref', 'kind')} ${owner && `${owner}/`}${text(first, 'ref', 'name')}`;
  return `${ref} ${verb}${others.length > 0 ? ` and ${others.length} more` : ''}`;
}

const printState = (item: Json): string => `${text(item, 'state')}${item.spared === true ? ' (spared)' : ''}`;

function printRefusal(item: Json): Cell {
  const resource = text(item, 'lastRefusal', 'resource');
  return resource === '' ? '' : { text: `${resource}: ${text(item, 'lastRefusal', 'reason')}`, tone: 'red' };
}
