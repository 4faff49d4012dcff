/** A Workload as it passes over HTTP. */
import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { IsIn } from 'class-validator';
import { documentDto } from '../api/document.dto.js';
import { MayBeLeftOut } from '../api/fields.js';
import { IsIdentity, IsIpAddress, IsPortNumber } from '../api/rules.js';
import { HEALTHS, type Health } from '../model/workload.js';

export class WorkloadSpecDto {
  @ApiProperty({ description: 'An IP address.', example: '127.0.0.1' })
  @IsIpAddress()
  address!: string;

  @ApiPropertyOptional({
    type: 'integer',
    minimum: 1,
    maximum: 65_535,
    description: 'Where it is reached. Absent: it only calls.',
    example: 9001,
  })
  @MayBeLeftOut()
  @IsPortNumber()
  port?: number;

  @ApiPropertyOptional({
    description: 'Who it proves to be by mutual TLS. Absent: it has no sidecar and is called in plaintext.',
    example: 'spiffe://sluice.local/ns/shop/sa/cart',
  })
  @MayBeLeftOut()
  @IsIdentity()
  identity?: string;

  @ApiPropertyOptional({ enum: HEALTHS, default: 'Healthy', description: 'Only a healthy one gets calls.' })
  @MayBeLeftOut()
  @IsIn(HEALTHS)
  health?: Health;
}

export class WorkloadDto extends documentDto('Workload', WorkloadSpecDto) {}
