/** A TrafficSplit as it passes over HTTP. */
import { ApiProperty } from '@nestjs/swagger';
import { documentDto } from '../api/document.dto.js';
import { ListOf } from '../api/fields.js';
import { IsName, IsWholeNumber } from '../api/rules.js';
import { MAX_BACKENDS, MAX_WEIGHT } from '../model/traffic-split.js';

export class BackendDto {
  @ApiProperty({
    description: "A service of the same namespace. The split's own service stands for what is directly behind it.",
    example: 'cart-v1',
  })
  @IsName()
  service!: string;

  @ApiProperty({
    type: 'integer',
    description: 'Its share of the traffic is this over the sum of all weights.',
    minimum: 0,
    maximum: MAX_WEIGHT,
    example: 90,
  })
  @IsWholeNumber(0, MAX_WEIGHT)
  weight!: number;
}

export class TrafficSplitSpecDto {
  @ApiProperty({ description: 'The service whose traffic is split.', example: 'cart' })
  @IsName()
  service!: string;

  @ListOf(() => BackendDto, { min: 1, max: MAX_BACKENDS })
  backends!: BackendDto[];
}

export class TrafficSplitDto extends documentDto('TrafficSplit', TrafficSplitSpecDto) {}
