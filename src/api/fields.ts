/** Decorators for fields that hold objects: how they are described and how they are checked, said once. */
import { ApiProperty } from '@nestjs/swagger';
import { Type, type ClassConstructor } from 'class-transformer';
import { ArrayMaxSize, ArrayMinSize, IsArray, IsIn, IsObject, IsOptional, ValidateNested } from 'class-validator';
import type { Kind } from '../model/document.js';

interface FieldOptions {
  readonly description?: string;
  readonly optional?: boolean;
}

/** A field that holds an object of class `type()`. Swagger knows a function that gives a class by its name, `type`. */
export const Nested = (
  type: () => ClassConstructor<object>,
  { optional, ...about }: FieldOptions = {},
): PropertyDecorator =>
  all(
    ApiProperty({ type: () => type(), required: !optional, ...about }),
    ...(optional ? [IsOptional()] : []),
    IsObject(),
    ValidateNested(),
    Type(type),
  );

/** A field that holds a list of objects of class `type()`. */
export const ListOf = (
  type: () => ClassConstructor<object>,
  { optional, min, max, ...about }: FieldOptions & { readonly min: number; readonly max: number },
): PropertyDecorator =>
  all(
    ApiProperty({ type: () => type(), isArray: true, required: !optional, minItems: min, maxItems: max, ...about }),
    ...(optional ? [IsOptional()] : []),
    IsArray(),
    ArrayMinSize(min),
    ArrayMaxSize(max),
    IsObject({ each: true }),
    ValidateNested({ each: true }),
    Type(type),
  );

/** The field that says which kind of document it is. */
export const IsKind = (kind: Kind): PropertyDecorator =>
  all(ApiProperty({ enum: [kind], required: false, description: 'May be left out.' }), IsOptional(), IsIn([kind]));

/** All of `decorators` as one. */
export const all =
  (...decorators: readonly PropertyDecorator[]): PropertyDecorator =>
  (target, key) => {
    for (const decorate of decorators) decorate(target, key);
  };
