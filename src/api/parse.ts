/** From what somebody sent to something that can be trusted: every fault at once, each with a JSON pointer. */
import { plainToInstance, type ClassConstructor } from 'class-transformer';
import { validateSync, type ValidationError } from 'class-validator';
import { pointer, type Fault } from '../model/fault.js';
import { MeshError } from '../model/mesh-error.js';

/** An instance of `dto` made of `body`. Unknown fields are faults. `more` adds faults that the class cannot know of. */
export function parse<Dto extends object>(
  dto: ClassConstructor<Dto>,
  body: unknown,
  more: (dto: Dto) => readonly Fault[] = () => [],
): Dto {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    throw MeshError.invalid([{ pointer: '', detail: 'the body must be a JSON object' }]);
  }
  const instance = plainToInstance(dto, body);
  const errors = validateSync(instance, { whitelist: true, forbidNonWhitelisted: true, forbidUnknownValues: true });
  const faults = [...errors.flatMap((error) => faultsOf(error, [])), ...more(instance)];
  if (faults.length > 0) throw MeshError.invalid(faults);
  return instance;
}

function faultsOf({ property, constraints = {}, children = [] }: ValidationError, above: readonly string[]): Fault[] {
  const path = [...above, property];
  return [
    ...telling(constraints).map(([rule, message]) => ({
      pointer: pointer(...path),
      detail: rule === 'whitelistValidation' ? `there is no field "${property}" here` : message,
    })),
    ...children.flatMap((child) => faultsOf(child, path)),
  ];
}

/** What is no list, or no object, breaks every other rule as well: then only that is told. */
function telling(constraints: Readonly<Record<string, string>>): [string, string][] {
  const broken = Object.entries(constraints).filter(([rule]) => rule !== 'nestedValidation');
  const form = ['isArray', 'isObject'].map((name) => broken.find(([rule]) => rule === name)).find(Boolean);
  return form ? [form] : broken;
}
