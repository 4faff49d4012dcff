/** The server's own metrics, for Prometheus: it needs a token as everybody else does (`authorization.credentials_file`). */
import { Controller, Get, Inject, Res } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { ApiReply } from '../api/authentication.js';
import { ApiProblems } from '../api/openapi-decorators.js';
import { NoQuery } from '../api/pipes/query.pipe.js';
import { Metrics } from './metrics.js';

@ApiTags('Health')
@Controller('metrics')
export class MetricsController {
  constructor(@Inject(Metrics) private readonly metrics: Metrics) {}

  @Get()
  @ApiOperation({ operationId: 'getMetrics', summary: 'Read the metrics of the server, for Prometheus' })
  @ApiOkResponse({
    description: 'In the text format of Prometheus.',
    content: { 'text/plain': { schema: { type: 'string' } } },
  })
  @ApiProblems()
  async get(@Res({ passthrough: true }) reply: ApiReply, @NoQuery() _: void): Promise<string> {
    reply.type(this.metrics.contentType);
    return this.metrics.print();
  }
}
