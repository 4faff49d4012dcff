/** From what somebody sent to something that can be trusted: every fault at once, each with a JSON pointer. */
import type { Type } from '@nestjs/common';
import { validateSync, type ValidationError } from 'class-validator';
import { pointer, type Fault } from '../model/fault.js';
import { MeshError } from '../model/mesh-error.js';
import { MAX_DEPTH, readBody, tooDeep, type JsonObject } from './read-body.js';

/** An instance of `type` made of `body`. Unknown fields are faults. `more` adds faults that the class cannot know of. */
export function parse<Dto extends object>(
  type: Type<Dto>,
  body: unknown,
  more: (dto: Dto) => readonly Fault[] = () => [],
): Dto {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    throw MeshError.invalid([{ pointer: '', detail: 'the body must be a JSON object' }]);
  }
  const depths = tooDeep(body);
  // Told alone: whatever else would be said comes from reading on.
  if (depths !== undefined) {
    throw MeshError.invalid([{ pointer: depths, detail: `the body must be nested at most ${MAX_DEPTH} deep` }]);
  }
  const { dto, faults, settled } = readBody(type, body as JsonObject);
  const broken = validateSync(dto, { forbidUnknownValues: true }).flatMap((error) => faultsOf(error, []));
  const all = [...faults, ...broken.filter((fault) => !isSettled(fault, settled)), ...more(dto)];
  if (all.length > 0) throw MeshError.invalid(all);
  return dto;
}

function faultsOf({ property, constraints = {}, children = [] }: ValidationError, above: readonly string[]): Fault[] {
  const path = [...above, property];
  return [
    ...telling(constraints).map(([, detail]) => ({ pointer: pointer(...path), detail })),
    ...children.flatMap((child) => faultsOf(child, path)),
  ];
}

/** What is no list, or no object, breaks every other rule as well: then only that is told. */
function telling(constraints: Readonly<Record<string, string>>): [string, string][] {
  const broken = Object.entries(constraints).filter(([rule]) => rule !== 'nestedValidation');
  const form = ['isArray', 'isObject'].map((name) => broken.find(([rule]) => rule === name)).find(Boolean);
  return form ? [form] : broken;
}

/** What was null, or no object, lacks everything, and so does what was beneath it. */
function isSettled({ pointer: at = '' }: Fault, settled: ReadonlySet<string>): boolean {
  for (let end = at.length; end > 0; end = at.lastIndexOf('/', end - 1)) if (settled.has(at.slice(0, end))) return true;
  return false;
}
