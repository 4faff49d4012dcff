/** What was changed, by whom and why, and which proxies serve it. */
import { Controller, Get, Inject, Param, Query, Req, Res } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiParam, ApiProperty, ApiPropertyOptional, ApiTags } from '@nestjs/swagger';
import { callerOf, type ApiReply, type ApiRequest } from '../api/authentication.js';
import { ReceiptDto } from '../api/document-results.dto.js';
import { RefDto } from '../api/ref.dto.js';
import { ApiPage, ApiPageQuery, ApiProblems, ApiWaitQuery } from '../api/openapi-decorators.js';
import { linked } from '../api/page.js';
import {
  readNoQuery,
  readRevisionPageQuery,
  readReceiptQuery,
  writeCursor,
  type Query as QueryValues,
} from '../api/query.js';
import { MeshError } from '../model/mesh-error.js';
import { notKept, type Change, type Revision } from '../model/revision.js';
import { SqlRevisionLog } from '../store/revision-log.js';
import { Receipts } from '../status/receipts.js';

export class ObjectChangeDto {
  @ApiProperty({ type: RefDto })
  ref!: RefDto;

  @ApiPropertyOptional({
    type: 'object',
    additionalProperties: true,
    description: 'Absent when the change created it.',
  })
  before?: object;

  @ApiPropertyOptional({
    type: 'object',
    additionalProperties: true,
    description: 'Absent when the change removed it.',
  })
  after?: object;

  @ApiPropertyOptional({
    type: [RefDto],
    description:
      'It was removed by force, although these named it; or changed by force, although these policies protect less by that.',
  })
  forced?: readonly RefDto[];
}

export class RevisionDto {
  @ApiProperty({ type: 'integer', example: 7 })
  number!: number;

  @ApiProperty({ description: 'A token, or `sluice`: the server itself.', example: 'admin' })
  author!: string;

  @ApiProperty({ description: 'Why, if the author said so.' })
  comment!: string;

  @ApiProperty({ format: 'date-time' })
  at!: string;

  @ApiProperty({ type: [ObjectChangeDto] })
  changes!: ObjectChangeDto[];
}

export class RevisionListDto {
  @ApiProperty({ type: [RevisionDto], description: 'Newest first. Fewer than `limit` when they are large.' })
  items!: RevisionDto[];

  @ApiPropertyOptional({ description: 'Send it as `cursor` to get what came before. Absent on the last page.' })
  next?: string;

  @ApiProperty({
    type: 'integer',
    example: 1,
    description:
      'The oldest revision that is kept (`--history-keep`). Where it is more than 1, earlier ones are gone for good.',
  })
  oldest!: number;
}

@ApiTags('Revisions')
@Controller('v1/revisions')
export class RevisionsController {
  constructor(
    @Inject(SqlRevisionLog) private readonly log: SqlRevisionLog,
    @Inject(Receipts) private readonly receipts: Receipts,
  ) {}

  @Get()
  @ApiOperation({ operationId: 'listRevisions', summary: 'List what was changed, newest first' })
  @ApiPageQuery()
  @ApiPage(RevisionListDto)
  @ApiProblems('invalid')
  async list(
    @Query() query: QueryValues,
    @Req() request: ApiRequest,
    @Res({ passthrough: true }) reply: ApiReply,
  ): Promise<RevisionListDto> {
    const { limit, before } = readRevisionPageQuery(query);
    const { revisions, more } = await this.log.revisions(limit, before);
    const last = revisions.at(-1);
    const page = {
      items: revisions.map(printed),
      ...(more && last && { next: writeCursor(String(last.number)) }),
      oldest: this.log.floor,
    };
    return linked(page, request, reply);
  }

  @Get(':number')
  @ApiOperation({ operationId: 'getRevision', summary: 'Read one revision with what it changed' })
  @ApiParam({ name: 'number', schema: { type: 'integer', minimum: 1, example: 1 } })
  @ApiOkResponse({ type: RevisionDto })
  @ApiProblems('not-found', 'gone')
  async get(@Param('number') number: string, @Query() query: QueryValues): Promise<RevisionDto> {
    readNoQuery(query);
    const revision = await this.log.revision(this.made(number));
    if (!revision) throw notKept(Number(number), this.log.floor);
    return printed(revision);
  }

  @Get(':number/receipt')
  @ApiOperation({
    operationId: 'getReceipt',
    summary: 'Tell which proxies serve a revision; wait for them if asked to',
  })
  @ApiParam({ name: 'number', schema: { type: 'integer', minimum: 1, example: 1 } })
  @ApiWaitQuery()
  @ApiOkResponse({ type: ReceiptDto })
  @ApiProblems('invalid', 'not-found', 'gone', 'refused-by-proxy', 'not-applied-in-time')
  receipt(
    @Param('number') number: string,
    @Query() query: QueryValues,
    @Req() request: ApiRequest,
  ): Promise<ReceiptDto> {
    const { lost, wait } = readReceiptQuery(query);
    const revision = this.made(number);
    const { signal, author } = callerOf(request);
    const receipt = wait
      ? this.receipts.wait(revision, wait, wait.timeoutMs, signal, author)
      : this.receipts.now(revision, lost);
    return receipt as Promise<ReceiptDto>;
  }

  /** A revision that was made. Throws `not-found`. */
  private made(text: string): number {
    const number = /^\d{1,15}$/.test(text) ? Number(text) : 0;
    if (number < 1 || number > this.log.head) throw MeshError.notFound(`revision ${text}`);
    return number;
  }
}

const printed = ({ changes, ...revision }: Revision): RevisionDto => ({
  ...revision,
  changes: changes.map(printedChange),
});

const printedChange = ({ ref, before, after, forced }: Change): ObjectChangeDto => ({
  ref,
  ...(before && { before }),
  ...(after && { after }),
  ...(forced && { forced }),
});
