/** Many changes as one revision, whole or not at all; planned first, if somebody wants to see what they would come to. */
import { Body, Controller, HttpCode, Inject, Post, Query, Req } from '@nestjs/common';
import { ApiBody, ApiOkResponse, ApiOperation, ApiQuery, ApiTags } from '@nestjs/swagger';
import { Worlds } from '../world/fold.js';
import { callerOf, type ApiRequest } from './authentication.js';
import { ChangeSetDto, ChangeSetResultDto } from './change-set.dto.js';
import { readChangeSet } from './change-set.js';
import { Documents } from './documents.js';
import { Doors } from './doors.js';
import { ApiChangeQuery, ApiProblems } from './openapi-decorators.js';
import { readChangeSetQuery, type Query as QueryValues } from './query.js';

const EXAMPLE = {
  owner: 'checkout-team',
  documents: [
    { kind: 'Service', metadata: { namespace: 'shop', name: 'cart' }, spec: { ports: [{ port: 80 }] } },
    {
      kind: 'TrafficSplit',
      metadata: { namespace: 'shop', name: 'cart' },
      spec: {
        service: 'cart',
        backends: [
          { service: 'cart-v1', weight: 90 },
          { service: 'cart-v2', weight: 10 },
        ],
      },
    },
  ],
};

@ApiTags('Change sets')
@Controller('v1/change-sets')
export class ChangeSetsController {
  constructor(
    @Inject(Documents) private readonly documents: Documents,
    @Inject(Doors) private readonly doors: Doors,
    @Inject(Worlds) private readonly worlds: Worlds,
  ) {}

  @Post()
  @HttpCode(200)
  @ApiOperation({
    operationId: 'applyChangeSet',
    summary: 'Make many changes at once, as one revision, whole or not at all',
    description:
      'With `dryRun=server` it is a plan: `preview` says what it would come to, and bears a `hash`. Sent again with' +
      ' `plan=<hash>`, it is carried out only if it still comes to just that; 412 otherwise, with the `preview` as it is now.',
  })
  @ApiChangeQuery()
  @ApiQuery({
    name: 'plan',
    required: false,
    description: 'The `hash` of a preview: what was agreed to.',
    schema: { type: 'string', pattern: '^[0-9a-f]{64}$' },
  })
  @ApiBody({ type: ChangeSetDto, examples: { example: { value: EXAMPLE } } })
  @ApiOkResponse({ type: ChangeSetResultDto })
  @ApiProblems(
    'not-found',
    'conflict',
    'precondition-failed',
    'too-large',
    'refused-by-proxy',
    'store-unavailable',
    'not-applied-in-time',
  )
  apply(@Body() body: unknown, @Query() query: QueryValues, @Req() request: ApiRequest) {
    const wish = readChangeSet(this.doors, body, this.worlds.current.mesh);
    return this.documents.applySet(wish, callerOf(request), readChangeSetQuery(query));
  }
}
