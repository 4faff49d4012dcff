/** The parts of a document that all kinds share, as they pass over HTTP. */
import type { Type } from '@nestjs/common';
import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { Allow, IsIn } from 'class-validator';
import { API_VERSION } from '../model/document.js';
import type { Kind } from '../model/kinds.js';
import { CONDITION_TYPES, type Condition } from '../status/conditions.js';
import { Ignored, IsKind, MayBeLeftOut, Nested } from './fields.js';
import { IsAnnotations, IsLabels, IsName, IsWholeNumber } from './rules.js';

const IGNORED = 'Ignored when sent.';
const TEXT_MAP = { type: 'object', additionalProperties: { type: 'string' } } as const;

export class MetadataDto {
  @ApiPropertyOptional({ description: 'As in the path; may be left out.', example: 'cart' })
  @MayBeLeftOut()
  @IsName()
  name?: string;

  @ApiPropertyOptional({ description: 'As in the path; may be left out.', example: 'shop' })
  @MayBeLeftOut()
  @IsName()
  namespace?: string;

  @ApiPropertyOptional({ ...TEXT_MAP, description: 'Marks that selectors choose by.', example: { team: 'checkout' } })
  @MayBeLeftOut()
  @IsLabels()
  labels?: Record<string, string>;

  @ApiPropertyOptional({ ...TEXT_MAP, description: 'Notes that nothing chooses by.', example: {} })
  @MayBeLeftOut()
  @IsAnnotations()
  annotations?: Record<string, string>;

  @ApiPropertyOptional({
    type: 'integer',
    description:
      'The revision that last changed the object. Sent back, it guards against overwriting what somebody else changed' +
      ' since: the answer is then 409. Left out, the object is replaced whatever it was.',
  })
  @MayBeLeftOut()
  @IsWholeNumber(0, Number.MAX_SAFE_INTEGER)
  revision?: number;

  @ApiPropertyOptional({ readOnly: true, enum: ['rest', 'sidecar'], description: `Who registered it. ${IGNORED}` })
  @Ignored()
  origin?: string;

  @ApiPropertyOptional({
    ...TEXT_MAP,
    readOnly: true,
    description:
      'On a policy for a service that was deleted by force: the selector that it had, which the policy still protects until it is' +
      ` for something else or the service is there again. ${IGNORED}`,
  })
  @Ignored()
  protects?: Record<string, string>;

  @ApiPropertyOptional({
    type: 'integer',
    readOnly: true,
    description: `The revision that created it; of several splits of a service, the earliest decides. ${IGNORED}`,
  })
  @Ignored()
  createdIn?: number;

  @ApiPropertyOptional({ readOnly: true, format: 'date-time', description: IGNORED })
  @Ignored()
  createdAt?: string;

  @ApiPropertyOptional({ readOnly: true, format: 'date-time', description: IGNORED })
  @Ignored()
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
  @MayBeLeftOut()
  @IsIn([API_VERSION])
  apiVersion?: string;

  @Allow()
  kind?: string;

  @Nested(() => MetadataDto, { optional: true })
  metadata?: MetadataDto;

  @ApiPropertyOptional({ type: StatusDto, readOnly: true, description: `What has become of it. ${IGNORED}` })
  @Ignored()
  status?: StatusDto;
}

/** The class of documents of `kind` whose spec is of class `spec`. */
export function documentDto<Spec extends object>(kind: Kind, spec: Type<Spec>) {
  class KindDto extends DocumentDto {
    @IsKind(kind)
    declare kind?: string;

    @Nested(() => spec)
    spec!: Spec;
  }
  return KindDto;
}
