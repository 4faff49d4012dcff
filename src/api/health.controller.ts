/** Whether the server is alive, and whether it is of use: for orchestrators, which have no token. */
import { applyDecorators, Controller, Get, Inject, Redirect } from '@nestjs/common';
import { RouteConfig } from '@nestjs/platform-fastify';
import {
  ApiExcludeEndpoint,
  ApiOkResponse,
  ApiOperation,
  ApiProperty,
  ApiPropertyOptional,
  ApiServiceUnavailableResponse,
  ApiTags,
} from '@nestjs/swagger';
import { HealthCheckService } from '@nestjs/terminus';
import { Public } from './guards/authorisation.guard.js';
import { PROBLEM_CONTENT_TYPE } from './problem.js';
import { Readiness } from './readiness.js';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** True for questions after the health of the server, which are answered to the last. */
    readonly health?: boolean;
  }
}

const Health = (): MethodDecorator => applyDecorators(Public(), RouteConfig({ public: true, health: true }));

export class HealthDto {
  @ApiProperty({ enum: ['ok'] })
  status!: 'ok';
}

export class ReadinessDto extends HealthDto {
  @ApiPropertyOptional({
    type: [String],
    description: 'What somebody should look at although the server is of use. Absent: nothing.',
    example: [
      '1 workload is called although nothing is heard of the sidecars: so many at once, or all of a service, are silent',
    ],
  })
  warnings?: readonly string[];
}

const OK: HealthDto = { status: 'ok' };

@ApiTags('Health')
@Controller()
export class HealthController {
  constructor(
    @Inject(HealthCheckService) private readonly health: HealthCheckService,
    @Inject(Readiness) private readonly readiness: Readiness,
  ) {}

  @Get('livez')
  @Health()
  @ApiOperation({ operationId: 'getLiveness', summary: 'Tell whether the server is alive', security: [] })
  @ApiOkResponse({ type: HealthDto })
  live(): HealthDto {
    return OK;
  }

  @Get('readyz')
  @Health()
  @ApiOperation({
    operationId: 'getReadiness',
    summary: 'Tell whether the server has its mesh and its database and serves sidecars',
    security: [],
  })
  @ApiOkResponse({ type: ReadinessDto })
  @ApiServiceUnavailableResponse({
    description: 'It is of no use now; `checks` says why.',
    content: { [PROBLEM_CONTENT_TYPE]: { schema: { $ref: '#/components/schemas/ProblemDto' } } },
  })
  async ready(): Promise<ReadinessDto> {
    await this.health.check([...this.readiness.checks]);
    const { warnings } = this.readiness;
    return { ...OK, ...(warnings.length > 0 && { warnings }) };
  }

  @Get()
  @Public()
  @Redirect('/docs', 302)
  @ApiExcludeEndpoint()
  root(): void {}
}
