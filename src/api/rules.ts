/** Validation rules in the words of the mesh, for the fields of request bodies. */
import { ValidateBy, type ValidationOptions } from 'class-validator';
import { isCidr, isIpAddress } from '../model/addresses.js';
import { parseDuration } from '../model/duration.js';
import { KINDS } from '../model/kinds.js';
import { isDnsLabel, isLabelKey, isLabelValue, isPortName, parseSpiffeId } from '../model/names.js';

/**
 * A rule from a question and the sentence that answers "no" to it; `$property` stands for the field. What it means in JSON
 * Schema is in openapi-schemas.ts, by its name and `constraints`.
 */
const rule =
  (name: string, holds: (value: unknown) => boolean, message: string, constraints: unknown[] = []) =>
  (options?: ValidationOptions): PropertyDecorator =>
    ValidateBy({ name, constraints, validator: { validate: holds, defaultMessage: () => message } }, options);

/** The last port that there is. */
const MAX_PORT = 65_535;

const isText = (value: unknown): value is string => typeof value === 'string';

export const IsName = rule(
  'isName',
  (value) => isText(value) && isDnsLabel(value),
  '$property must be a DNS label: at most 63 of a-z, 0-9 and "-", beginning and ending with a letter or digit',
);

export const IsKindOfMesh = rule(
  'isKindOfMesh',
  (value) => isText(value) && Object.hasOwn(KINDS, value),
  `$property must be one of ${Object.keys(KINDS).join(', ')}`,
);

export const IsIpAddress = rule(
  'isIpAddress',
  (value) => isText(value) && isIpAddress(value),
  '$property must be an IP address, not a host name, and without a zone',
);

export const IsWholeNumber = (from: number, to: number): PropertyDecorator =>
  rule(
    'isWholeNumber',
    (value) => typeof value === 'number' && Number.isInteger(value) && value >= from && value <= to,
    `$property must be a whole number from ${from} to ${to}`,
    [from, to],
  )();

export const ArePortNumbers = (): PropertyDecorator =>
  rule(
    'isWholeNumber',
    (value) => typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= MAX_PORT,
    `each of $property must be a whole number from 1 to ${MAX_PORT}`,
    [1, MAX_PORT],
  )({ each: true });

export const IsPortNumber = (): PropertyDecorator => IsWholeNumber(1, MAX_PORT);

export const IsPortName = rule(
  'isPortName',
  (value) => isText(value) && isPortName(value),
  '$property must be at most 15 of a-z, 0-9 and single "-" between them, with a letter among them',
);

export const IsTargetPort = rule(
  'isTargetPort',
  (value) =>
    isText(value)
      ? isPortName(value)
      : typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= MAX_PORT,
  '$property must be the number of a workload port, from 1 to 65535, or its name: at most 15 of a-z, 0-9 and single "-"',
);

export const IsIdentity = rule(
  'isIdentity',
  (value) => isText(value) && parseSpiffeId(value) !== undefined,
  '$property must be a SPIFFE id: spiffe://<trust domain>/ns/<namespace>/sa/<account>',
);

/** A duration within bounds, both of them durations as people write them. */
export const IsDurationFrom = (from: string, to: string): PropertyDecorator =>
  rule(
    'isDurationFrom',
    (value) => {
      const ms = isText(value) ? parseDuration(value) : undefined;
      return ms !== undefined && ms >= (parseDuration(from) ?? 0) && ms <= (parseDuration(to) ?? 0);
    },
    `$property must be a duration from ${from} to ${to}`,
    [from, to],
  )();

export const IsCidr = rule(
  'isCidr',
  (value) => isText(value) && isCidr(value),
  'each of $property must be a CIDR without a zone, such as 10.0.0.0/8 or fd00::/8',
);

/** How many labels or annotations an object may have. */
const MAX_LABELS = 64;
/** How long the value of an annotation may be. */
const MAX_ANNOTATION = 4_096;

const isMap = (value: unknown, key: (text: string) => boolean, member: (value: unknown) => boolean): boolean =>
  typeof value === 'object' &&
  value !== null &&
  !Array.isArray(value) &&
  Object.keys(value).length <= MAX_LABELS &&
  Object.entries(value).every(([name, text]) => key(name) && member(text));

export const IsLabels = rule(
  'isLabels',
  (value) => isMap(value, isLabelKey, (text) => isText(text) && isLabelValue(text)),
  `$property must map at most ${MAX_LABELS} label names to texts of at most 63 letters, digits, "-", "_" and "."`,
);

/** Labels that choose something: none at all would choose everything. */
export const IsSelector = rule(
  'isSelector',
  (value) =>
    isMap(value, isLabelKey, (text) => isText(text) && isLabelValue(text)) && Object.keys(value as object).length > 0,
  '$property must name at least one label, and texts of at most 63 letters, digits, "-", "_" and "."',
);

export const IsAnnotations = rule(
  'isAnnotations',
  (value) => isMap(value, isLabelKey, (text) => isText(text) && text.length <= MAX_ANNOTATION),
  `$property must map at most ${MAX_LABELS} names to texts of at most ${MAX_ANNOTATION} characters`,
);

/** An object with exactly one of `fields` (unknown ones are another rule's business). */
export const HasOneOf = (fields: readonly string[], options?: ValidationOptions): PropertyDecorator =>
  rule(
    'hasOneOf',
    (value) => {
      if (typeof value !== 'object' || value === null) return false;
      return fields.filter((field) => (value as Record<string, unknown>)[field] !== undefined).length === 1;
    },
    `${options?.each ? 'each of ' : ''}$property must have exactly one of ${fields.join(', ')}`,
    [...fields],
  )(options);

/** An object with at least one of `fields`. */
export const HasSomeOf = (fields: readonly string[], options?: ValidationOptions): PropertyDecorator =>
  rule(
    'hasSomeOf',
    (value) =>
      typeof value === 'object' &&
      value !== null &&
      fields.some((field) => (value as Record<string, unknown>)[field] !== undefined),
    `${options?.each ? 'each of ' : ''}$property must have at least one of ${fields.join(', ')}`,
    [...fields],
  )(options);
