/** Whether the server is alive, and whether it is of use: for orchestrators, which have no token. */
import { Controller, Get, Redirect } from '@nestjs/common';
import { ApiExcludeEndpoint, ApiOkResponse, ApiOperation, ApiProperty, ApiTags } from '@nestjs/swagger';
import { Public } from './guards/authorisation.guard.js';

export class HealthDto {
  @ApiProperty({ enum: ['ok'] })
  status!: 'ok';
}

const OK: HealthDto = { status: 'ok' };

@ApiTags('Health')
@Controller()
export class HealthController {
  @Get('livez')
  @Public()
  @ApiOperation({ operationId: 'getLiveness', summary: 'Tell whether the server is alive', security: [] })
  @ApiOkResponse({ type: HealthDto })
  live(): HealthDto {
    return OK;
  }

  /** The port is opened after everything else: whoever can ask finds a server that has its mesh and can sign. */
  @Get('readyz')
  @Public()
  @ApiOperation({
    operationId: 'getReadiness',
    summary: 'Tell whether the server has its mesh and serves sidecars',
    security: [],
  })
  @ApiOkResponse({ type: HealthDto })
  ready(): HealthDto {
    return OK;
  }

  @Get()
  @Public()
  @Redirect('/docs', 302)
  @ApiExcludeEndpoint()
  root(): void {}
}
