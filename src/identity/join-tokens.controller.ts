/** Join tokens: an operator says who a sidecar will be; whoever brings the token is that, once. */
import { Body, Controller, Inject, Param, Post, Query, Req } from '@nestjs/common';
import {
  ApiBody,
  ApiCreatedResponse,
  ApiOperation,
  ApiParam,
  ApiProperty,
  ApiPropertyOptional,
  ApiTags,
} from '@nestjs/swagger';
import { callerOf, type ApiRequest } from '../api/authentication.js';
import { MayBeLeftOut } from '../api/fields.js';
import { ApiProblems } from '../api/openapi-decorators.js';
import { parse } from '../api/parse.js';
import { readNoQuery, type Query as QueryValues } from '../api/query.js';
import { IsDurationFrom, IsLabels, IsName } from '../api/rules.js';
import { parseDuration } from '../model/duration.js';
import { pointer, type Fault } from '../model/fault.js';
import { RESERVED_NAMESPACE, SERVICE_LABEL, isDnsLabel, spiffeId } from '../model/names.js';
import { EnrolmentStore } from '../store/enrolment-store.js';
import { Worlds } from '../world/fold.js';

const DEFAULT_LIFETIME = '10m';

export class JoinTokenRequestDto {
  @ApiProperty({ description: 'What the workload will be called in its namespace.', example: 'cart-v1' })
  @IsName()
  name!: string;

  @ApiPropertyOptional({
    description: 'The account of its identity. Absent: as its service, or else as its name.',
    example: 'cart',
  })
  @MayBeLeftOut()
  @IsName()
  serviceAccount?: string;

  @ApiPropertyOptional({
    description: `The service it belongs to: becomes its label \`${SERVICE_LABEL}\`.`,
    example: 'cart',
  })
  @MayBeLeftOut()
  @IsName()
  service?: string;

  @ApiPropertyOptional({
    type: 'object',
    additionalProperties: { type: 'string' },
    description: 'Its other labels. A sidecar cannot choose them itself: selectors and policies go by them.',
    example: { version: 'v1' },
  })
  @MayBeLeftOut()
  @IsLabels()
  labels?: Record<string, string>;

  @ApiPropertyOptional({
    description: 'Until when the token can be used, at most 24h.',
    default: DEFAULT_LIFETIME,
    example: '10m',
  })
  @MayBeLeftOut()
  @IsDurationFrom('1s', '24h')
  expiresIn?: string;
}

export class JoinTokenDto {
  @ApiProperty({ description: 'The token. It is shown now and never again.' })
  token!: string;

  @ApiProperty({ description: 'Names it in the log, and in the enrolment of the sidecar that joins with it.' })
  id!: string;

  @ApiProperty({ format: 'date-time' })
  expiresAt!: string;

  @ApiProperty({ description: 'Who the sidecar will be.', example: 'spiffe://sluice.local/ns/shop/sa/cart' })
  identity!: string;
}

@ApiTags('Tokens')
@ApiParam({ name: 'namespace', example: 'shop' })
@Controller('v1/namespaces/:namespace/join-tokens')
export class JoinTokensController {
  constructor(
    @Inject(EnrolmentStore) private readonly enrolments: EnrolmentStore,
    @Inject(Worlds) private readonly worlds: Worlds,
  ) {}

  @Post()
  @ApiOperation({ operationId: 'createJoinToken', summary: 'Make a token that lets one sidecar join, once' })
  @ApiBody({
    type: JoinTokenRequestDto,
    examples: { example: { value: { name: 'cart-v1', service: 'cart', labels: { version: 'v1' } } } },
  })
  @ApiCreatedResponse({ type: JoinTokenDto })
  @ApiProblems('invalid', 'too-large', 'store-unavailable')
  async create(
    @Param('namespace') namespace: string,
    @Body() body: unknown,
    @Query() query: QueryValues,
    @Req() request: ApiRequest,
  ): Promise<JoinTokenDto> {
    readNoQuery(query);
    const wish = parse(JoinTokenRequestDto, body, (request) => faultsOf(namespace, request));
    const { name, service, serviceAccount = service ?? name, labels, expiresIn = DEFAULT_LIFETIME } = wish;
    const { trustDomain } = this.worlds.current.mesh;
    const identity = spiffeId({ trustDomain, namespace, account: serviceAccount });
    const claims = { namespace, name, identity, labels: { ...labels, ...(service && { [SERVICE_LABEL]: service }) } };
    const { author } = callerOf(request);
    const { id, text, expiresAt } = await this.enrolments.createToken(claims, parseDuration(expiresIn) ?? 0, author);
    return { token: text, id, expiresAt, identity };
  }
}

function faultsOf(namespace: string, { labels }: JoinTokenRequestDto): Fault[] {
  const faults: Fault[] = [];
  if (!isDnsLabel(namespace)) faults.push({ pointer: '', detail: 'the namespace in the path must be a DNS label' });
  if (namespace === RESERVED_NAMESPACE) {
    faults.push({ pointer: '', detail: `namespace "${namespace}" is that of the control plane; choose another one` });
  }
  if (typeof labels === 'object' && labels !== null && SERVICE_LABEL in labels) {
    faults.push({ pointer: pointer('labels', SERVICE_LABEL), detail: 'say this as "service"' });
  }
  return faults;
}
