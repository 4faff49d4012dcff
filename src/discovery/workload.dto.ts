/** A Workload as it passes over HTTP. */
import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { ArrayUnique, IsIn } from 'class-validator';
import { documentDto } from '../api/document.dto.js';
import { ListOf, MayBeLeftOut } from '../api/fields.js';
import { IsIdentity, IsIpAddress, IsPortName, IsPortNumber } from '../api/rules.js';
import { HEALTHS, MAX_WORKLOAD_PORTS, type Health } from '../model/workload.js';

export class WorkloadPortDto {
  @ApiPropertyOptional({ description: 'What services may call the port by, unique in the workload.', example: 'http' })
  @MayBeLeftOut()
  @IsPortName()
  name?: string;

  @ApiProperty({
    type: 'integer',
    minimum: 1,
    maximum: 65_535,
    description: 'What the program listens on: services and policies speak of it.',
    example: 9001,
  })
  @IsPortNumber()
  port!: number;

  @ApiPropertyOptional({
    type: 'integer',
    minimum: 1,
    maximum: 65_535,
    description: 'Where others reach it, if that is another port: that of its sidecar.',
    example: 41_001,
  })
  @MayBeLeftOut()
  @IsPortNumber()
  sidecarPort?: number;
}

export class WorkloadSpecDto {
  @ApiProperty({ description: 'An IP address.', example: '127.0.0.1' })
  @IsIpAddress()
  address!: string;

  @ArrayUnique(({ port }: WorkloadPortDto) => port, { message: 'ports must not name a port twice' })
  @ListOf(() => WorkloadPortDto, {
    optional: true,
    min: 0,
    max: MAX_WORKLOAD_PORTS,
    description: 'The ports at which it is called. None: it only calls.',
  })
  ports?: WorkloadPortDto[];

  @ApiPropertyOptional({
    description:
      'Who it proves to be by mutual TLS. Absent: it is called in plaintext. A workload that is written by hand has no sidecar,' +
      ' which alone enforces policies, whoever it proves to be.',
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
