/** PUT, GET, list and DELETE for one kind of document, made from what its feature says of it. */
import { KINDS, type Kind } from '../model/kinds.js';
import {
  applyDecorators,
  Body,
  Controller,
  Delete,
  Get,
  HttpCode,
  Inject,
  Param,
  Put,
  Query,
  Req,
  Res,
  type Type,
} from '@nestjs/common';
import {
  ApiBody,
  ApiCreatedResponse,
  ApiExtraModels,
  ApiOkResponse,
  ApiOperation,
  ApiParam,
  ApiTags,
} from '@nestjs/swagger';
import { callerOf, type ApiReply, type ApiRequest } from './authentication.js';
import { exampleDocument, readDraft, type Door } from './document-door.js';
import { ChangeDto, resultDtos } from './document-results.dto.js';
import { Documents } from './documents.js';
import { Doors } from './doors.js';
import { ApiForcibleQuery, ApiListQuery, ApiPage, ApiProblems } from './openapi-decorators.js';
import { linked } from './page.js';
import { ApiPreconditions, entityTag, readPrecondition } from './precondition.js';
import { readForcibleQuery, readListQuery, readNoQuery, type Query as QueryValues } from './query.js';
import { Worlds } from '../world/fold.js';

/** The controller of a namespaced kind. */
export function documentController<K extends Kind, Spec extends object>(door: Door<K, Spec>): Type<unknown> {
  const { kind, tag, dto, example } = door;
  const { noun } = KINDS[kind];
  const { Change, List } = resultDtos(kind, dto);
  const aNoun = `${/^[aeiou]/.test(noun) ? 'an' : 'a'} ${noun}`;
  const { collection } = KINDS[kind];
  const ofNamespace = `namespaces/:namespace/${collection}`;
  const one = `${ofNamespace}/:name`;
  const namespaceParam = ApiParam({ name: 'namespace', example: 'shop' });
  const placeParams = applyDecorators(namespaceParam, ApiParam({ name: 'name', example: example.name }));

  @ApiTags(tag)
  @ApiExtraModels(dto, Change, List)
  @Controller('v1')
  class DocumentController {
    constructor(
      @Inject(Documents) private readonly documents: Documents,
      @Inject(Worlds) private readonly worlds: Worlds,
      @Inject(Doors) doors: Doors,
    ) {
      doors.add(door as unknown as Door);
    }

    @Put(one)
    @ApiOperation({ operationId: `put${kind}`, summary: `Create or replace ${aNoun}` })
    @placeParams
    @ApiForcibleQuery(
      'Write it although workloads that stay lose by it what a policy protects: those behind a service that leads to them no' +
        ' more. The revision says so.',
    )
    @ApiPreconditions()
    @ApiBody({ type: dto, examples: { example: { value: exampleDocument(door) } } })
    @ApiOkResponse({ type: Change, description: 'It was replaced, or was so already.' })
    @ApiCreatedResponse({ type: Change, description: 'It was created.' })
    @ApiProblems(
      'conflict',
      'precondition-failed',
      'too-large',
      'refused-by-proxy',
      'store-unavailable',
      'not-applied-in-time',
    )
    async put(
      @Param('namespace') namespace: string,
      @Param('name') name: string,
      @Body() body: unknown,
      @Query() query: QueryValues,
      @Req() request: ApiRequest,
      @Res({ passthrough: true }) reply: ApiReply,
    ) {
      const draft = readDraft(door, { namespace, name }, body, this.worlds.current.mesh);
      const only = readPrecondition(request.headers);
      const { created, tag, ...result } = await this.documents.put(
        { ...draft, ...(only && { only }) },
        callerOf(request),
        readForcibleQuery(query),
      );
      reply.code(created ? 201 : 200);
      if (tag !== undefined) reply.header('etag', entityTag(tag));
      return result;
    }

    @Get(one)
    @ApiOperation({ operationId: `get${kind}`, summary: `Read ${aNoun} and its status` })
    @placeParams
    @ApiOkResponse({ type: dto })
    @ApiProblems('not-found')
    async get(
      @Param('namespace') namespace: string,
      @Param('name') name: string,
      @Query() query: QueryValues,
      @Res({ passthrough: true }) reply: ApiReply,
    ) {
      readNoQuery(query);
      const { tag, document } = await this.documents.get({ kind, namespace, name });
      if (tag !== undefined) reply.header('etag', entityTag(tag));
      return document;
    }

    @Get(ofNamespace)
    @ApiOperation({ operationId: `list${plural(kind)}`, summary: `List the ${plural(noun)} of a namespace` })
    @namespaceParam
    @ApiListQuery()
    @ApiPage(List)
    @ApiProblems()
    async list(
      @Param('namespace') namespace: string,
      @Query() query: QueryValues,
      @Req() request: ApiRequest,
      @Res({ passthrough: true }) reply: ApiReply,
    ) {
      return linked(await this.documents.list(kind, { namespace, ...readListQuery(query) }), request, reply);
    }

    @Get(collection)
    @ApiOperation({ operationId: `listAll${plural(kind)}`, summary: `List the ${plural(noun)} of all namespaces` })
    @ApiListQuery()
    @ApiPage(List)
    @ApiProblems()
    async listAll(
      @Query() query: QueryValues,
      @Req() request: ApiRequest,
      @Res({ passthrough: true }) reply: ApiReply,
    ) {
      return linked(await this.documents.list(kind, readListQuery(query)), request, reply);
    }

    @Delete(one)
    @HttpCode(200)
    @ApiOperation({ operationId: `delete${kind}`, summary: `Remove ${aNoun}` })
    @placeParams
    @ApiForcibleQuery(
      'Remove it although other objects name it; the revision says so, and what its policies protected stays protected.',
    )
    @ApiPreconditions()
    @ApiOkResponse({ type: ChangeDto })
    @ApiProblems(
      'not-found',
      'conflict',
      'precondition-failed',
      'refused-by-proxy',
      'store-unavailable',
      'not-applied-in-time',
    )
    remove(
      @Param('namespace') namespace: string,
      @Param('name') name: string,
      @Query() query: QueryValues,
      @Req() request: ApiRequest,
    ) {
      const only = readPrecondition(request.headers);
      const removal = { kind, namespace, name, ...(only && { only }) };
      return this.documents.remove(removal, callerOf(request), readForcibleQuery(query));
    }
  }
  Object.defineProperty(DocumentController, 'name', { value: `${kind}Controller` });
  return DocumentController;
}

const plural = (noun: string): string => (noun.endsWith('y') ? `${noun.slice(0, -1)}ies` : `${noun}s`);
