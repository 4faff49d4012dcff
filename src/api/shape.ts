/** What the fields of a body hold, as far as one must know it to read the body before any rule is asked. */
import type { Type } from '@nestjs/common';
import { getMetadataStorage } from 'class-validator';

export type Content =
  /** Taken over as it was sent, maps of labels among it: every key is data, whatever JavaScript means by it. */
  | { readonly is: 'value' }
  /** May be sent, because it is in what was read, and has no effect. */
  | { readonly is: 'ignored' }
  | { readonly is: 'object'; readonly type: () => Type<object> }
  | { readonly is: 'values'; readonly max: number }
  | { readonly is: 'list'; readonly type: () => Type<object>; readonly max: number };

/** By the prototype of a class and the name of a field. Fields that are not in it hold values. */
const said = new WeakMap<object, Map<string, Content>>();

/** Says what a field holds. */
export const Holds =
  (content: Content): PropertyDecorator =>
  (prototype, field) => {
    const fields = said.get(prototype) ?? new Map<string, Content>();
    said.set(prototype, fields.set(String(field), content));
  };

const known = new WeakMap<Type<object>, ReadonlyMap<string, Content>>();

/** The fields of a class: those that some rule was written for, its own or inherited. There are no others. */
export function fieldsOf(type: Type<object>): ReadonlyMap<string, Content> {
  const found = known.get(type);
  if (found) return found;
  const rules = getMetadataStorage().getTargetValidationMetadatas(type, '', false, false);
  const fields = new Map(rules.map(({ propertyName }) => [propertyName, contentOf(type.prototype, propertyName)]));
  known.set(type, fields);
  return fields;
}

function contentOf(prototype: unknown, field: string): Content {
  if (typeof prototype !== 'object' || prototype === null) return { is: 'value' };
  return said.get(prototype)?.get(field) ?? contentOf(Object.getPrototypeOf(prototype), field);
}
