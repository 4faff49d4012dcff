/** The tokens that open this API: made, listed and revoked. Their texts are shown once and stored nowhere. */
import { Controller, Delete, Get, HttpCode, Inject, Param, Post } from '@nestjs/common';
import {
  ApiBody,
  ApiCreatedResponse,
  ApiNoContentResponse,
  ApiOkResponse,
  ApiOperation,
  ApiParam,
  ApiProperty,
  ApiPropertyOptional,
  ApiTags,
} from '@nestjs/swagger';
import { parseDuration } from '../model/duration.js';
import { pointer, type Fault } from '../model/fault.js';
import { SERVER } from '../model/revision.js';
import { ApiTokenStore, type ApiToken } from '../store/api-token-store.js';
import { MayBeLeftOut } from './fields.js';
import { ApiProblems } from './openapi-decorators.js';
import { Parsed } from './pipes/body.pipe.js';
import { NoQuery } from './pipes/query.pipe.js';
import { IsDurationFrom, IsName } from './rules.js';

/** How long a token with an end may last. */
const SHORTEST = '1s';
const LONGEST = '3650d';

export class ApiTokenRequestDto {
  @ApiProperty({
    description: `Unique; the author of the revisions that it makes. Not \`${SERVER}\`: that is the server itself.`,
    example: 'deploy-pipeline',
  })
  @IsName()
  name!: string;

  @ApiPropertyOptional({
    description: `How long it can be used, from \`${SHORTEST}\` to \`${LONGEST}\` (10 years). Absent: until it is revoked.`,
    example: '90d',
  })
  @MayBeLeftOut()
  @IsDurationFrom(SHORTEST, LONGEST)
  expiresIn?: string;
}

export class ApiTokenDto implements ApiToken {
  @ApiProperty({ description: 'Part of its text, for finding it again.' })
  id!: string;

  @ApiProperty({ example: 'deploy-pipeline' })
  name!: string;

  @ApiProperty({ format: 'date-time' })
  createdAt!: string;

  @ApiPropertyOptional({ format: 'date-time' })
  expiresAt?: string;
}

export class NewApiTokenDto extends ApiTokenDto {
  @ApiProperty({ description: 'The token. It is shown now and never again.' })
  token!: string;
}

export class ApiTokenListDto {
  @ApiProperty({ type: [ApiTokenDto] })
  items!: ApiTokenDto[];
}

@ApiTags('Tokens')
@Controller('v1/tokens')
export class TokensController {
  constructor(@Inject(ApiTokenStore) private readonly tokens: ApiTokenStore) {}

  @Post()
  @ApiOperation({ operationId: 'createApiToken', summary: 'Make a token for this API' })
  @ApiBody({
    type: ApiTokenRequestDto,
    examples: { example: { value: { name: 'deploy-pipeline', expiresIn: '90d' } } },
  })
  @ApiCreatedResponse({ type: NewApiTokenDto })
  @ApiProblems('conflict', 'too-large', 'store-unavailable')
  async create(
    @Parsed(ApiTokenRequestDto, faultsOf) { name, expiresIn }: ApiTokenRequestDto,
    @NoQuery() _: void,
  ): Promise<NewApiTokenDto> {
    const { text, ...token } = await this.tokens.create(
      name,
      expiresIn === undefined ? undefined : parseDuration(expiresIn),
    );
    return { ...token, token: text };
  }

  @Get()
  @ApiOperation({ operationId: 'listApiTokens', summary: 'List the tokens of this API, without their texts' })
  @ApiOkResponse({ type: ApiTokenListDto })
  @ApiProblems()
  async list(@NoQuery() _: void): Promise<ApiTokenListDto> {
    return { items: await this.tokens.list() };
  }

  @Delete(':name')
  @HttpCode(204)
  @ApiOperation({ operationId: 'revokeApiToken', summary: 'Revoke a token' })
  @ApiParam({ name: 'name', example: 'deploy-pipeline' })
  @ApiNoContentResponse({ description: 'It opens nothing any more.' })
  @ApiProblems('not-found', 'store-unavailable')
  async revoke(@Param('name') name: string, @NoQuery() _: void): Promise<void> {
    await this.tokens.revoke(name);
  }
}

/** Nobody may write in the name of the server. The names of sidecars are SPIFFE ids, which no token can be called. */
function faultsOf({ name }: ApiTokenRequestDto): Fault[] {
  if (name !== SERVER) return [];
  return [{ pointer: pointer('name'), detail: `"${SERVER}" is the server itself; choose another name` }];
}
