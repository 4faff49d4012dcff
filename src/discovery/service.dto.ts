/** A Service as it passes over HTTP. */
import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { ArrayUnique, IsIn } from 'class-validator';
import { documentDto } from '../api/document.dto.js';
import { ListOf, MayBeLeftOut } from '../api/fields.js';
import { IsPortName, IsPortNumber, IsSelector, IsTargetPort } from '../api/rules.js';
import { SERVICE_LABEL } from '../model/names.js';
import { PROTOCOLS, type Protocol } from '../model/service.js';

const MAX_PORTS = 100;

export class ServicePortDto {
  @ApiPropertyOptional({ description: 'What the port is called, unique in the service.', example: 'web' })
  @MayBeLeftOut()
  @IsPortName()
  name?: string;

  @ApiProperty({
    type: 'integer',
    minimum: 1,
    maximum: 65_535,
    description: 'The port that callers name; 80 when they name none.',
    example: 80,
  })
  @IsPortNumber()
  port!: number;

  @ApiPropertyOptional({
    oneOf: [{ type: 'integer' }, { type: 'string' }],
    description:
      'The workload port that takes the calls, by number or name. Absent: that of the same number; a workload that has one port alone takes them there.',
    example: 'http',
  })
  @MayBeLeftOut()
  @IsTargetPort()
  targetPort?: number | string;

  @ApiPropertyOptional({
    enum: PROTOCOLS,
    default: 'HTTP',
    description:
      'HTTP: HTTP/1.1 or HTTP/2, as the caller spoke. HTTP2 and GRPC: always HTTP/2. TCP, and TLS of the programs themselves: bytes that nobody looks into; policies judge who connects.',
  })
  @MayBeLeftOut()
  @IsIn(PROTOCOLS)
  protocol?: Protocol;
}

export class ServiceSpecDto {
  @ApiPropertyOptional({
    type: 'object',
    additionalProperties: { type: 'string' },
    description: `Labels of the workloads behind it. Absent: \`${SERVICE_LABEL}\` with its own name.`,
    example: { [SERVICE_LABEL]: 'cart', version: 'v1' },
  })
  @MayBeLeftOut()
  @IsSelector()
  selector?: Record<string, string>;

  @ArrayUnique(({ port }: ServicePortDto) => port, { message: 'ports must not name a port twice' })
  @ListOf(() => ServicePortDto, { min: 1, max: MAX_PORTS })
  ports!: ServicePortDto[];
}

export class ServiceDto extends documentDto('Service', ServiceSpecDto) {}
