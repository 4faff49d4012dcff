/** What operations on documents answer with. */
import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import type { Type } from '@nestjs/common';
import type { Kind } from '../model/kinds.js';
import type { Laggard, Lost, NoEffect, Receipt } from '../status/receipt.js';
import { PreviewDto } from './preview.dto.js';
import { RefDto } from './ref.dto.js';

export class LaggardDto implements Laggard {
  @ApiProperty({ description: '`namespace/name` of its workload.', example: 'shop/cart-v1' })
  proxy!: string;

  @ApiPropertyOptional({ type: 'integer', description: 'The revision that it serves instead, if that is known.' })
  serves?: number;

  @ApiProperty({ enum: ['pending', 'refused', 'disconnected'] })
  reason!: Laggard['reason'];

  @ApiProperty({ description: 'For people.' })
  detail!: string;
}

export class LostDto implements Lost {
  @ApiProperty({ description: '`namespace/name` of its workload.', example: 'shop/cart-v1' })
  proxy!: string;

  @ApiProperty({
    description:
      'Its sidecar, as `GET /v1/enrolments` lists it: others may have joined for the same workload before it, and since.',
    example: '0f3a5c7e9b1d2468',
  })
  enrolment!: string;

  @ApiProperty({ format: 'date-time', description: 'Since when nothing has been heard of it.' })
  since!: string;
}

export class NoEffectDto implements NoEffect {
  @ApiProperty({ type: RefDto })
  ref!: RefDto;

  @ApiProperty({ description: 'One word, for machines.', example: 'Conflicted' })
  reason!: string;

  @ApiProperty({ description: 'For people.' })
  message!: string;
}

export class ReceiptDto implements Receipt {
  @ApiProperty({ type: 'integer' })
  revision!: number;

  @ApiPropertyOptional({
    type: 'integer',
    description: 'The first state of the world that holds the revision. Absent while it is not published.',
  })
  sequence?: number;

  @ApiProperty({ type: 'integer', description: 'How many proxies want what the revision changed, or may.' })
  affected!: number;

  @ApiProperty({ type: 'integer', description: 'How many of them have that in force, or something newer.' })
  serving!: number;

  @ApiProperty({ type: [LaggardDto], description: 'The others, up to 1000.' })
  laggards!: LaggardDto[];

  @ApiProperty({
    type: [LostDto],
    description:
      'Affected proxies that have been gone for longer than their lease, or were turned out while their certificates' +
      ' are still good, and may go on with what they had; up to 1000. They are counted as affected if `lost=count`.',
  })
  lost!: LostDto[];

  @ApiProperty({
    description: 'What was counted, for people.',
    example: '5 of 12 proxies hold what revision 7 changed',
  })
  why!: string;

  @ApiPropertyOptional({
    type: [NoEffectDto],
    description: 'Objects of the revision that do nothing, as the mesh stands.',
  })
  noEffect?: NoEffectDto[];
}

export class ChangeDto {
  @ApiProperty({
    type: 'integer',
    description: 'The revision that holds the change, or the last one of the object if nothing changed.',
  })
  revision!: number;

  @ApiProperty({ description: 'False when everything was so already; no revision was made then.' })
  changed!: boolean;

  @ApiPropertyOptional({ type: PreviewDto, description: 'Present with `dryRun`; nothing was changed then.' })
  preview?: PreviewDto;

  @ApiPropertyOptional({ type: ReceiptDto, description: 'Present when `wait` was asked for.' })
  receipt?: ReceiptDto;
}

/** The classes of a kind's answers: what a write came to, and a page of a list. */
export function resultDtos(kind: Kind, dto: Type<object>) {
  class Change extends ChangeDto {
    @ApiProperty({ type: dto })
    document!: object;
  }
  class List {
    @ApiProperty({ type: [dto] })
    items!: object[];

    @ApiPropertyOptional({ description: 'Send it as `cursor` to get what follows. Absent on the last page.' })
    next?: string;
  }
  Object.defineProperty(Change, 'name', { value: `${kind}Change` });
  Object.defineProperty(List, 'name', { value: `${kind}List` });
  return { Change, List };
}
