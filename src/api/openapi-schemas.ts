/**
 * Makes the schemas of the OpenAPI document as strict as the server: what the rules of a field refuse, its schema refuses
 * too, as far as JSON Schema can say it. Derived from the rules themselves, so that neither is forgotten for the other.
 */
import type { OpenAPIObject } from '@nestjs/swagger';
import { getMetadataStorage } from 'class-validator';
import { KINDS } from '../model/kinds.js';
import { parseDuration } from '../model/duration.js';
import { LABEL_KEY, MAX_PORT_NAME, PORT_NAME, RESERVED_NAMESPACE } from '../model/names.js';
import { LONGEST_WAIT } from '../model/wait.js';

type Schema = Readonly<Record<string, unknown>>;

const DNS_LABEL = '[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?';
const LABEL = '[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?';
/** Every IPv4 address, and the usual ways to write those of IPv6: in full, or with one gap before the last of it. */
const BYTE = '(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])';
const IPV4 = `${BYTE}(\\.${BYTE}){3}`;
const GROUP = '[0-9a-fA-F]{1,4}';
const IPV6 = `((${GROUP}:){7}${GROUP}|(${GROUP}:){1,6}:(${GROUP})?|::(${GROUP})?)`;
const name = { type: 'string', maxLength: 63, pattern: `^${DNS_LABEL}$` };
const portName = { type: 'string', maxLength: MAX_PORT_NAME, pattern: PORT_NAME.source };
const identity = (trustDomain: string, end: string): string =>
  `^spiffe://${trustDomain.replaceAll('.', '\\.')}/ns/${end}$`;
const labels = { maxProperties: 64, propertyNames: { pattern: LABEL_KEY.source } };
const labelValues = { type: 'string', pattern: `^(${LABEL})?$` };
const only = (fields: readonly string[], word: 'oneOf' | 'anyOf'): Schema => ({
  [word]: fields.map((field) => ({ required: [field] })),
});

/** What a rule means in JSON Schema, by its name. Rules that are not here say what their types say already. */
const BY_RULE: Readonly<Record<string, (constraints: readonly unknown[], trustDomain: string) => Schema>> = {
  isName: () => name,
  isKindOfMesh: () => ({ enum: Object.keys(KINDS) }),
  isPortName: () => portName,
  isTargetPort: () => ({ oneOf: [{ type: 'integer', minimum: 1, maximum: 65_535 }, portName] }),
  isIpAddress: () => ({ anyOf: [{ format: 'ipv4' }, { format: 'ipv6' }] }),
  isCidr: () => ({ pattern: `^(${IPV4}/(3[0-2]|[12]?[0-9])|${IPV6}/(12[0-8]|1[01][0-9]|[1-9]?[0-9]))$` }),
  isIdentity: (_, domain) => ({ pattern: identity(domain, `${DNS_LABEL}/sa/${DNS_LABEL}`) }),
  isIdentityPattern: (_, domain) => ({ pattern: identity(domain, `${DNS_LABEL}/(\\*|sa/(\\*|${DNS_LABEL}))`) }),
  arePathPatterns: () => ({ maxLength: 2_048, pattern: '^(/[A-Za-z0-9_~-]+)+(/\\*)?$|^/\\*?$' }),
  isWholeNumber: ([minimum, maximum]) => ({ minimum, maximum }),
  isDurationFrom: ([from, to]) => ({ pattern: durations(from as string, to as string) }),
  isLabels: () => ({ ...labels, additionalProperties: labelValues }),
  isSelector: () => ({ ...labels, minProperties: 1, additionalProperties: labelValues }),
  isAnnotations: () => ({ ...labels, additionalProperties: { type: 'string', maxLength: 4_096 } }),
  hasOneOf: (fields) => only(fields as string[], 'oneOf'),
  hasSomeOf: (fields) => only(fields as string[], 'anyOf'),
  arrayMinSize: ([minItems]) => ({ minItems }),
  arrayMaxSize: ([maxItems]) => ({ maxItems }),
  matches: ([pattern]) => ({ pattern: (pattern as RegExp).source }),
};

const UNITS = ['ms', 's', 'm', 'h', 'd'];

/** A pattern for the durations from `from` to `to`, as people write them. */
function durations(from: string, to: string): string {
  const [least, most] = [parseDuration(from) ?? 0, parseDuration(to) ?? 0];
  const ofUnits = UNITS.flatMap((unit) => {
    const one = parseDuration(`1${unit}`) ?? 1;
    const [first, last] = [Math.ceil(least / one), Math.min(Math.floor(most / one), 999_999_999)];
    return last >= Math.max(first, 1) ? [`(${numbers(Math.max(first, 1), last)})${unit}`] : [];
  });
  return `^(${[...(least === 0 ? ['0(ms|s|m|h|d)'] : []), ...ofUnits].join('|')})$`;
}

/** A pattern for the whole numbers from the power of ten `least` to `most`. */
function numbers(least: number, most: number): string {
  const digits = String(most);
  const fewest = String(least).length;
  const shorter = fewest < digits.length ? [`[1-9]${repeated(fewest - 1, digits.length - 2)}`] : [];
  const asLong = [...digits].flatMap((digit, at) => {
    const lowest = at === 0 ? 1 : 0;
    const rest = digits.length - at - 1;
    return Number(digit) > lowest
      ? [`${digits.slice(0, at)}[${lowest}-${Number(digit) - 1}]${repeated(rest, rest)}`]
      : [];
  });
  return [...shorter, ...asLong, digits].join('|');
}

const repeated = (least: number, most: number): string => (most === 0 ? '' : `[0-9]{${least},${most}}`);

type Mutable = Record<string, unknown>;

/** `document` with schemas that refuse what the server of that trust domain refuses. */
export function strictened(document: OpenAPIObject, trustDomain: string): OpenAPIObject {
  const schemas = (document.components?.schemas ?? {}) as Record<string, Mutable>;
  for (const [target, rules] of rulesByClass()) {
    const schema = schemas[target];
    if (!schema) continue;
    schema['additionalProperties'] = false;
    const properties = schema['properties'] as Record<string, Mutable>;
    for (const { name: rule = '', propertyName, constraints, each } of rules) {
      const meaning = BY_RULE[rule]?.(constraints ?? [], trustDomain);
      const property = properties[propertyName];
      if (!meaning || !property) continue;
      properties[propertyName] = each
        ? { ...property, items: { ...(property['items'] as Schema), ...meaning } }
        : { ...property, ...meaning };
    }
  }
  for (const kind of Object.keys(KINDS)) {
    const schema = schemas[`${kind}Dto`];
    if (schema) schema['additionalProperties'] = false;
  }
  for (const item of Object.values(document.paths)) {
    for (const [method, operation] of Object.entries(item) as [string, { parameters?: Mutable[] }][]) {
      operation.parameters = distinct(operation.parameters ?? []).map((parameter) => strict(parameter, method));
    }
  }
  return document;
}

interface Rule {
  readonly name?: string;
  readonly propertyName: string;
  readonly constraints?: readonly unknown[];
  readonly each: boolean;
}

/** The rules of every class that has some. class-validator tells them of one class at a time, and not which there are. */
function rulesByClass(): [string, readonly Rule[]][] {
  const storage = getMetadataStorage() as unknown as { validationMetadatas: Map<{ name: string }, readonly Rule[]> };
  return [...storage.validationMetadatas].map(([{ name: className }, rules]) => [className, rules]);
}

/** Swagger lists the parameters of a controller and those of its operation, even where they are the same. */
const distinct = (parameters: readonly Mutable[]): Mutable[] => [
  ...new Map(parameters.map((one) => [`${String(one['in'])} ${String(one['name'])}`, one])).values(),
];

/** Parameters by their names, which mean the same everywhere. */
function strict(parameter: Mutable, method: string): Mutable {
  const meaning = (parameter['in'] === 'path' ? inPath(method) : BY_NAME)[String(parameter['name'])];
  return meaning ? { ...parameter, schema: { ...(parameter['schema'] as Schema), ...meaning } } : parameter;
}

const inPath = (method: string): Readonly<Record<string, Schema>> => ({
  name,
  namespace: method === 'get' ? name : { ...name, pattern: `^(?!${RESERVED_NAMESPACE}$)${DNS_LABEL}$` },
});

const TAG = '(W/)?"[!#-~]*"';
const TAGS = `^(\\*|${TAG}(, ?${TAG}){0,99})$`;

/** In the query or the head. */
const BY_NAME: Readonly<Record<string, Schema>> = {
  'If-Match': { pattern: TAGS },
  'If-None-Match': { pattern: TAGS },
  wait: { pattern: '^([1-9][0-9]{0,5}|([1-9][0-9]?|100)%)$' },
  timeout: { pattern: durations('0s', LONGEST_WAIT) },
  cursor: { pattern: '^YWZ0ZXI6[A-Za-z0-9_-]+$' },
};
