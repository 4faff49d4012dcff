/** The parts of a document that all kinds share, as they pass over HTTP. */
import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { Allow, IsIn, IsOptional } from 'class-validator';
import type { ClassConstructor } from 'class-transformer';
import { API_VERSION, type Kind } from '../model/document.js';
import { CONDITION_TYPES, type Condition } from '../stream/status.js';
import { IsKind, Nested } from './fields.js';
import { IsAnnotations, IsLabels, IsName, IsWholeNumber } from './rules.js';

const TEXT_MAP = { type: 'object', additionalProperties: { type: 'string' } } as const;

export class MetadataDto {
  @ApiPropertyOptional({ description: 'As in the path; may be left out.', example: 'cart' })
  @IsOptional()
  @IsName()
  name?: string;

  @ApiPropertyOptional({ description: 'As in the path; may be left out.', example: 'shop' })
  @IsOptional()
  @IsName()
  namespace?: string;

  @ApiPropertyOptional({ ...TEXT_MAP, description: 'Marks that selectors choose by.', example: { team: 'checkout' } })
  @IsOptional()
  @IsLabels()
  labels?: Record<string, string>;

  @ApiPropertyOptional({ ...TEXT_MAP, description: 'Notes that nothing chooses by.', example: {} })
  @IsOptional()
  @IsAnnotations()
  annotations?: Record<string, string>;

  @ApiPropertyOptional({
    type: 'integer',
    description:
      'The revision that last changed the object. Sent back, it guards against overwriting what somebody else changed' +
      ' since: the answer is then 409. Left out, the object is replaced whatever it was.',
  })
  @IsOptional()
  @IsWholeNumber(0, Number.MAX_SAFE_INTEGER)
  revision?: number;

  @ApiPropertyOptional({ readOnly: true, enum: ['rest', 'sidecar'], description: 'Who registered it.' })
  @Allow()
  origin?: string;

  @ApiPropertyOptional({ readOnly: true, format: 'date-time' })
  @Allow()
  createdAt?: string;

  @ApiPropertyOptional({ readOnly: true, format: 'date-time' })
  @Allow()
  updatedAt?: string;
}

export class ConditionDto implements Condition {
  @ApiProperty({ enum: CONDITION_TYPES })
  type!: Condition['type'];

  @ApiProperty({ enum: ['True', 'False'] })
  status!: Condition['status'];

  @ApiProperty({ description: 'One word, for machines.', example: 'Programmed' })
  reason!: string;

  @ApiProperty({ description: 'For people.', example: '5 of 5 proxies serve revision 7' })
  message!: string;
}

export class StatusDto {
  @ApiProperty({ type: [ConditionDto] })
  conditions!: ConditionDto[];
}

/** A document of some kind, without its spec. */
export class DocumentDto {
  @ApiPropertyOptional({ enum: [API_VERSION], description: 'May be left out.' })
  @IsOptional()
  @IsIn([API_VERSION])
  apiVersion?: string;

  @Allow()
  kind?: string;

  @Nested(() => MetadataDto, { optional: true })
  metadata?: MetadataDto;

  @ApiPropertyOptional({ type: StatusDto, readOnly: true, description: 'What has become of it. Ignored when sent.' })
  @Allow()
  status?: StatusDto;
}

/** The class of documents of `kind` whose spec is of class `spec`. */
export function documentDto<Spec extends object>(kind: Kind, spec: ClassConstructor<Spec>) {
  class KindDto extends DocumentDto {
    @IsKind(kind)
    declare kind?: string;

    @Nested(() => spec)
    spec!: Spec;
  }
  return KindDto;
}
