/** What operations on documents answer with. */
import type { Kind } from '../model/kinds.js';
import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import type { Type } from '@nestjs/common';
import type { Laggard, Receipt } from '../stream/receipt.js';

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

export class ReceiptDto implements Receipt {
  @ApiProperty({ type: 'integer' })
  revision!: number;

  @ApiProperty({ type: 'integer', description: 'How many proxies there are to be told.' })
  proxies!: number;

  @ApiProperty({ type: 'integer', description: 'How many of them serve this revision or a newer one.' })
  serving!: number;

  @ApiProperty({ type: [LaggardDto], description: 'The others.' })
  laggards!: LaggardDto[];
}

export class ChangeDto {
  @ApiProperty({
    type: 'integer',
    description: 'The revision that holds the change, or the last one of the object if nothing changed.',
  })
  revision!: number;

  @ApiProperty({ description: 'False when everything was so already; no revision was made then.' })
  changed!: boolean;

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
