/** The settings of the mesh: one object, always there, replaced as a whole. */
import { Body, Controller, Get, Inject, Put, Query, Req, Res } from '@nestjs/common';
import { ApiBody, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { callerOf, type ApiReply, type ApiRequest } from '../api/authentication.js';
import { readDraft, exampleDocument, type Door } from '../api/document-door.js';
import { resultDtos } from '../api/document-results.dto.js';
import { Documents } from '../api/documents.js';
import { Doors } from '../api/doors.js';
import { ApiChangeQuery, ApiProblems } from '../api/openapi-decorators.js';
import { ApiPreconditions, entityTag, readPrecondition } from '../api/precondition.js';
import { readChangeQuery, readNoQuery, type Query as QueryValues } from '../api/query.js';
import { INITIAL_SETTINGS, MESH_SETTINGS_NAME } from '../model/mesh-settings.js';
import { MeshSettingsDto, type MeshSettingsSpecDto } from './mesh-settings.dto.js';
import { Worlds } from '../world/fold.js';

export const meshSettingsDoor: Door<'MeshSettings', MeshSettingsSpecDto> = {
  kind: 'MeshSettings',
  tag: 'Mesh settings',
  dto: MeshSettingsDto,
  spec: ({ defaultMode, clusterNetworks = INITIAL_SETTINGS.clusterNetworks }) => ({ defaultMode, clusterNetworks }),
  example: { name: MESH_SETTINGS_NAME, spec: INITIAL_SETTINGS },
};

const { Change } = resultDtos('MeshSettings', MeshSettingsDto);
const PLACE = { namespace: '', name: MESH_SETTINGS_NAME };

@ApiTags(meshSettingsDoor.tag)
@Controller('v1/mesh-settings')
export class MeshSettingsController {
  constructor(
    @Inject(Documents) private readonly documents: Documents,
    @Inject(Worlds) private readonly worlds: Worlds,
    @Inject(Doors) doors: Doors,
  ) {
    doors.add(meshSettingsDoor as unknown as Door);
  }

  @Put()
  @ApiOperation({ operationId: 'putMeshSettings', summary: 'Replace the settings of the mesh' })
  @ApiChangeQuery()
  @ApiPreconditions()
  @ApiBody({ type: MeshSettingsDto, examples: { example: { value: exampleDocument(meshSettingsDoor) } } })
  @ApiOkResponse({ type: Change })
  @ApiProblems(
    'conflict',
    'precondition-failed',
    'too-large',
    'refused-by-proxy',
    'store-unavailable',
    'not-applied-in-time',
  )
  async put(
    @Body() body: unknown,
    @Query() query: QueryValues,
    @Req() request: ApiRequest,
    @Res({ passthrough: true }) reply: ApiReply,
  ) {
    const draft = readDraft(meshSettingsDoor, PLACE, body, this.worlds.current.mesh);
    const only = readPrecondition(request.headers);
    const {
      created: _,
      tag,
      ...result
    } = await this.documents.put({ ...draft, ...(only && { only }) }, callerOf(request), readChangeQuery(query));
    if (tag !== undefined) reply.header('etag', entityTag(tag));
    return result;
  }

  @Get()
  @ApiOperation({ operationId: 'getMeshSettings', summary: 'Read the settings of the mesh' })
  @ApiOkResponse({ type: MeshSettingsDto })
  @ApiProblems()
  async get(@Query() query: QueryValues, @Res({ passthrough: true }) reply: ApiReply) {
    readNoQuery(query);
    const { tag, document } = await this.documents.get({ kind: 'MeshSettings', ...PLACE });
    if (tag !== undefined) reply.header('etag', entityTag(tag));
    return document;
  }
}
