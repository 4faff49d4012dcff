/** Decorators for fields: what may be left out, and how what holds objects is described, read and checked, said once. */
import type { Kind } from '../model/kinds.js';
import type { Type } from '@nestjs/common';
import { ApiProperty } from '@nestjs/swagger';
import {
  Allow,
  ArrayMaxSize,
  ArrayMinSize,
  IsArray,
  IsIn,
  IsObject,
  ValidateIf,
  ValidateNested,
} from 'class-validator';
import { Holds } from './shape.js';

/**
 * A field whose rules count when it is there. Not class-validator's IsOptional: that one lets null past every rule,
 * and null is none of the things that a field without a value means.
 */
export const MayBeLeftOut = (): PropertyDecorator => ValidateIf((_, value) => value !== undefined);

/** A field that may be sent back as it was read, and has no effect: nothing in it is looked at. */
export const Ignored = (): PropertyDecorator => all(Allow(), Holds({ is: 'ignored' }));

interface FieldOptions {
  readonly description?: string;
  readonly optional?: boolean;
}

/** A field that holds an object of class `type()`. Swagger knows a function that gives a class by its name, `type`. */
export const Nested = (type: () => Type<object>, { optional, ...about }: FieldOptions = {}): PropertyDecorator =>
  all(
    ApiProperty({ type: () => type(), required: !optional, ...about }),
    ...(optional ? [MayBeLeftOut()] : []),
    IsObject(),
    ValidateNested(),
    Holds({ is: 'object', type }),
  );

/** A field that holds a list of objects of class `type()`. */
export const ListOf = (
  type: () => Type<object>,
  { optional, min, max, ...about }: FieldOptions & { readonly min: number; readonly max: number },
): PropertyDecorator =>
  all(
    ApiProperty({ type: () => type(), isArray: true, required: !optional, minItems: min, maxItems: max, ...about }),
    ...(optional ? [MayBeLeftOut()] : []),
    IsArray(),
    ArrayMinSize(min),
    ArrayMaxSize(max),
    IsObject({ each: true }),
    ValidateNested({ each: true }),
    Holds({ is: 'list', type, max }),
  );

/** A field that may hold a list of values, of which rules with `each` say more. What is too long is cut before they are asked. */
export const ValuesOf = ({ min, max }: { readonly min: number; readonly max: number }): PropertyDecorator =>
  all(MayBeLeftOut(), IsArray(), ArrayMinSize(min), ArrayMaxSize(max), Holds({ is: 'values', max }));

/** The field that says which kind of document it is. */
export const IsKind = (kind: Kind): PropertyDecorator =>
  all(ApiProperty({ enum: [kind], required: false, description: 'May be left out.' }), MayBeLeftOut(), IsIn([kind]));

/** All of `decorators` as one. */
export const all =
  (...decorators: readonly PropertyDecorator[]): PropertyDecorator =>
  (target, key) => {
    for (const decorate of decorators) decorate(target, key);
  };
