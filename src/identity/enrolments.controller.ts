/** The sidecars that have joined: who they are, how they came in, and the way to turn one out. */
import { Controller, Delete, Get, HttpCode, Inject, Param, Query, Req, Res } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiParam, ApiProperty, ApiPropertyOptional, ApiTags } from '@nestjs/swagger';
import { callerOf, type ApiReply, type ApiRequest } from '../api/authentication.js';
import { ApiPage, ApiPageQuery, ApiProblems } from '../api/openapi-decorators.js';
import { linked } from '../api/page.js';
import { readNoQuery, readPageQuery, writeCursor, type Query as QueryValues } from '../api/query.js';
import { keyOf } from '../model/document.js';
import { MeshError } from '../model/mesh-error.js';
import { byName } from '../model/names.js';
import { ENDINGS, type Ending } from '../store/enrolment.js';
import { EnrolmentStore, type Enrolment } from '../store/enrolment-store.js';

export class EnrolmentDto {
  @ApiProperty({ description: 'The leaf of the sidecar names it.', example: '0f3a5c7e9b1d2468' })
  id!: string;

  @ApiProperty({ description: '`namespace/name` of the workload that it speaks for.', example: 'shop/cart-v1' })
  workload!: string;

  @ApiProperty({ example: 'spiffe://sluice.local/ns/shop/sa/cart' })
  identity!: string;

  @ApiProperty({ type: 'object', additionalProperties: { type: 'string' } })
  labels!: Readonly<Record<string, string>>;

  @ApiProperty({ format: 'date-time' })
  joinedAt!: string;

  @ApiProperty({ description: 'The id of the join token that it joined with.' })
  joinToken!: string;

  @ApiProperty({ description: 'The name of the API token that the join token was made with.', example: 'admin' })
  invitedBy!: string;

  @ApiPropertyOptional({
    format: 'date-time',
    description: 'When it first said where its workload is. Absent: it has not.',
  })
  registeredAt?: string;

  @ApiProperty({ format: 'date-time', description: 'When it was last heard of, to within some minutes.' })
  seenAt!: string;

  @ApiPropertyOptional({
    format: 'date-time',
    description: 'Since when nothing was heard of it. Absent: it is there, or has its lease to come back.',
  })
  lostSince?: string;

  @ApiProperty({
    format: 'date-time',
    description: 'When its certificate ends. One that has ended itself is listed until then.',
  })
  certificateEndsAt!: string;

  @ApiPropertyOptional({ format: 'date-time' })
  endedAt?: string;

  @ApiPropertyOptional({
    enum: ENDINGS,
    description:
      'How it ended. left: its program ended. evicted: an operator ended it. replaced: another sidecar joined for the' +
      ' same workload. forgotten: its certificate ended a week ago. Absent: it has not ended.',
  })
  ended?: Ending;
}

export class EnrolmentListDto {
  @ApiProperty({ type: [EnrolmentDto] })
  items!: EnrolmentDto[];

  @ApiPropertyOptional({ description: 'Send it as `cursor` to get what follows. Absent on the last page.' })
  next?: string;
}

@ApiTags('Enrolments')
@Controller('v1/enrolments')
export class EnrolmentsController {
  constructor(@Inject(EnrolmentStore) private readonly enrolments: EnrolmentStore) {}

  @Get()
  @ApiOperation({ operationId: 'listEnrolments', summary: 'List the sidecars that have joined' })
  @ApiPageQuery()
  @ApiPage(EnrolmentListDto)
  @ApiProblems('invalid')
  list(
    @Query() query: QueryValues,
    @Req() request: ApiRequest,
    @Res({ passthrough: true }) reply: ApiReply,
  ): EnrolmentListDto {
    const { limit, after } = readPageQuery(query);
    const following = [...this.enrolments.all()].filter(({ id }) => id > after).sort((a, b) => byName(a.id, b.id));
    const page = following.slice(0, limit);
    const last = page.at(-1);
    const next = following.length > limit && last && { next: writeCursor(last.id) };
    return linked({ items: page.map(printed), ...next }, request, reply);
  }

  @Get(':id')
  @ApiOperation({ operationId: 'getEnrolment', summary: 'Read one enrolment' })
  @ApiParam({ name: 'id', example: '0f3a5c7e9b1d2468' })
  @ApiOkResponse({ type: EnrolmentDto })
  @ApiProblems('not-found')
  get(@Param('id') id: string, @Query() query: QueryValues): EnrolmentDto {
    readNoQuery(query);
    const enrolment = this.enrolments.get(id);
    if (!enrolment) throw MeshError.notFound(`enrolment ${id}`);
    return printed(enrolment);
  }

  @Delete(':id')
  @HttpCode(200)
  @ApiOperation({
    operationId: 'deleteEnrolment',
    summary: 'Turn a sidecar out',
    description:
      'Its stream ends, it gets no new certificate, and its workload leaves the mesh. It has to join again with a new' +
      ' token. To evict one that has ended already changes nothing.\n\n' +
      'It keeps its certificate until `certificateEndsAt`, at most 24 hours: no list of revoked certificates reaches the' +
      ' sidecars. Until then it can still call workloads whose policies allow its identity, and is still believed by' +
      ' callers that were not told yet that it is gone; it learns of no change, and receipts name it as lost. To shut it' +
      ' out at once, deny its identity in an AuthorizationPolicy: that shuts out everybody of that' +
      ' account.',
  })
  @ApiParam({ name: 'id', example: '0f3a5c7e9b1d2468' })
  @ApiOkResponse({ type: EnrolmentDto })
  @ApiProblems('not-found', 'store-unavailable')
  async evict(@Param('id') id: string, @Query() query: QueryValues, @Req() request: ApiRequest): Promise<EnrolmentDto> {
    readNoQuery(query);
    await this.enrolments.end(id, 'evicted', callerOf(request).author);
    return this.get(id, {});
  }
}

const printed = ({ namespace, name, joinTokenId, ...enrolment }: Enrolment): EnrolmentDto => ({
  ...enrolment,
  workload: keyOf({ namespace, name }),
  joinToken: joinTokenId,
});
