/** The sidecars there are: who they are, whether they are there, and what they obey. */
import { Controller, Get, Inject, Param, Query, Req, Res } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiParam, ApiProperty, ApiPropertyOptional, ApiTags } from '@nestjs/swagger';
import type { ApiReply, ApiRequest } from '../api/authentication.js';
import { ApiPage, ApiPageQuery, ApiProblems } from '../api/openapi-decorators.js';
import { linked } from '../api/page.js';
import { readNoQuery, readPageQuery, writeCursor, type Query as QueryValues } from '../api/query.js';
import { MeshError } from '../model/mesh-error.js';
import { Fleet } from '../status/fleet.js';
import { PROXY_STATES, type Proxy, type ProxyState } from '../status/proxy.js';
import { Ring } from '../status/ring.js';
import { Silence } from '../status/silence.js';
import { Worlds } from '../world/fold.js';

export class RefusalDto {
  @ApiProperty({ description: 'The type of the refused resource.', example: 'Listener' })
  type!: string;

  @ApiProperty({ example: 'inbound/shop/cart:9001' })
  resource!: string;

  @ApiProperty({ description: 'What the proxy says is wrong with it.' })
  reason!: string;

  @ApiProperty({ format: 'date-time' })
  at!: string;
}

export class ProxyDto {
  @ApiProperty({ description: '`namespace/name` of its workload.', example: 'shop/cart-v1' })
  id!: string;

  @ApiProperty({ example: 'spiffe://sluice.local/ns/shop/sa/cart' })
  identity!: string;

  @ApiProperty({
    enum: PROXY_STATES,
    description:
      'disconnected: it may come back any moment and goes on with what it last had. lost: it has been away for longer' +
      ' than its lease; nobody waits for it, and its workload gets no calls unless it is `spared`.',
  })
  state!: ProxyState;

  @ApiPropertyOptional({
    description:
      'True: it is lost, and its workload is called all the same. So many are silent at once, or everybody else of a' +
      ' service is, that it may as well be the control plane that does not hear them.',
  })
  spared?: boolean;

  @ApiProperty({ format: 'date-time' })
  since!: string;

  @ApiPropertyOptional({ description: 'Its program and version.', example: 'sluice-proxy 0.1.0' })
  version?: string;

  @ApiPropertyOptional({ type: 'integer', description: 'The newest revision that it has whole and in force.' })
  serves?: number;

  @ApiPropertyOptional({ type: 'integer', description: 'How many revisions it is behind the newest.' })
  lag?: number;

  @ApiPropertyOptional({
    type: 'object',
    additionalProperties: { type: 'array', items: { type: 'string' } },
    description: 'The resources that it holds, by type, up to 1000 of each. Only where one proxy is read.',
  })
  holds?: Record<string, readonly string[]>;

  @ApiPropertyOptional({ type: RefusalDto, description: 'The last resource that it refused and still does without.' })
  lastRefusal?: RefusalDto;
}

export class ProxyListDto {
  @ApiProperty({ type: [ProxyDto] })
  items!: ProxyDto[];

  @ApiPropertyOptional({ description: 'Send it as `cursor` to get what follows. Absent on the last page.' })
  next?: string;
}

@ApiTags('Proxies')
@Controller('v1/proxies')
export class ProxiesController {
  constructor(
    @Inject(Worlds) private readonly worlds: Worlds,
    @Inject(Fleet) private readonly fleet: Fleet,
    @Inject(Ring) private readonly ring: Ring,
    @Inject(Silence) private readonly silence: Silence,
  ) {}

  @Get()
  @ApiOperation({ operationId: 'listProxies', summary: 'List the proxies with what they serve' })
  @ApiPageQuery()
  @ApiPage(ProxyListDto)
  @ApiProblems('invalid')
  list(
    @Query() query: QueryValues,
    @Req() request: ApiRequest,
    @Res({ passthrough: true }) reply: ApiReply,
  ): ProxyListDto {
    const { limit, after } = readPageQuery(query);
    const { proxies, more } = this.fleet.page(after, limit);
    const last = proxies.at(-1);
    const items = proxies.map((proxy) => this.printed(proxy));
    return linked({ items, ...(more && last && { next: writeCursor(last.id) }) }, request, reply);
  }

  @Get(':namespace/:name')
  @ApiOperation({ operationId: 'getProxy', summary: 'Read one proxy' })
  @ApiParam({ name: 'namespace', example: 'shop' })
  @ApiParam({ name: 'name', example: 'cart-v1' })
  @ApiOkResponse({ type: ProxyDto })
  @ApiProblems('not-found')
  get(@Param('namespace') namespace: string, @Param('name') name: string, @Query() query: QueryValues): ProxyDto {
    readNoQuery(query);
    const proxy = this.fleet.named(`${namespace}/${name}`);
    if (!proxy) throw MeshError.notFound(`proxy ${namespace}/${name}`);
    const holds = [...(proxy.client?.holds ?? [])].map(([type, names]) => [shortName(type), names.slice(0, MAX_HOLDS)]);
    return { ...this.printed(proxy), holds: Object.fromEntries(holds) as Record<string, string[]> };
  }

  private printed({ id, identity, state, since, agent, serves, client }: Proxy): ProxyDto {
    const [refusal] = [...(client?.refusals ?? [])].sort((a, b) => b.at - a.at);
    const revision = serves === undefined ? undefined : this.ring.revisionAt(serves);
    return {
      id,
      identity,
      state,
      ...(state === 'lost' && this.silence.spared.has(id) && { spared: true }),
      since,
      ...(agent !== undefined && { version: agent }),
      ...(revision !== undefined && { serves: revision, lag: this.worlds.current.revision - revision }),
      ...(refusal && {
        lastRefusal: {
          type: shortName(refusal.type),
          resource: refusal.name,
          reason: refusal.reason,
          at: new Date(refusal.at).toISOString(),
        },
      }),
    };
  }
}

/** How many names of one type are told of a proxy. */
const MAX_HOLDS = 1_000;

/** `Cluster` of `type.googleapis.com/envoy.config.cluster.v3.Cluster`. */
const shortName = (type: string): string => type.slice(type.lastIndexOf('.') + 1);
