/** What a caller needs to reach a service's port: its listener, its route table, its cluster and its endpoints. */
import { envoy, type google } from '../proto/messages.js';
import { printRef, refOf } from '../model/document.js';
import { isBytes, type Protocol, type Service, type ServicePort } from '../model/service.js';
import type { TrafficSplit } from '../model/traffic-split.js';
import type { Health, Workload } from '../model/workload.js';
import { any, encode } from './encoding.js';
import { httpConnectionManager } from './http.js';
import { PLAINTEXT } from './lingering.js';
import { serviceName } from './resource-names.js';
import { TYPES, recipe, type Recipe } from './resource.js';
import { fromAds } from './sources.js';
import { CLOSE, tcpProxy } from './tcp.js';
import { MUTUAL_TLS, TLS_INSPECTOR, byMark, upstreamTls } from './tls.js';

const { HealthStatus, TrafficDirection } = envoy.config.core.v3;
const { Listener } = envoy.config.listener.v3;
const { RouteConfiguration, RouteAction } = envoy.config.route.v3;
const { Cluster } = envoy.config.cluster.v3;
const { ClusterLoadAssignment } = envoy.config.endpoint.v3;
const { HttpProtocolOptions } = envoy.extensions.upstreams.http.v3;

/** How long a sidecar tries to connect to an endpoint before it tries another, in seconds. Linkerd's default. */
const CONNECT_TIMEOUT_S = 1;

/** A backend of a split with the cluster that its share goes to; a cluster that does not exist answers 500 for it. */
export interface Share {
  readonly cluster: string;
  readonly weight: number;
}

/** A port of a service with all that decides what its callers are told. */
export interface Outbound {
  readonly service: Service;
  readonly port: ServicePort;
  /** The split in force for the service, if there is one. */
  readonly split: TrafficSplit | undefined;
  readonly shares: readonly Share[];
  /** The workloads behind the service that take calls to this port, by name. */
  readonly workloads: readonly Workload[];
  /** Where each of them is reached. */
  readonly reachedAt: readonly number[];
  /** How many workloads stand behind the service that can be called at all. */
  readonly behind: number;
  /** Where this port is for bytes, and others are called there for requests: how many of them, and by which service, for one. */
  readonly contested?: { readonly workloads: number; readonly by: Service };
  /** Who may answer for them: identities, and PLAINTEXT where some prove none. In order. */
  readonly accepted: readonly string[];
}

/** What all resources of a service's port are called. */
export const outboundName = ({ service, port }: Outbound): string => serviceName(service.metadata, port.port);

/** @param accepted who may answer for the port's cluster: `outbound.accepted`, and who lingers there */
export function outboundRecipes(outbound: Outbound, accepted: readonly string[]): Recipe[] {
  const { service, port, split, shares, workloads, reachedAt } = outbound;
  const name = outboundName(outbound);
  const author = split ?? service;
  const printed = printRef(refOf(author));
  const way = isBytes(port.protocol)
    ? // It leads to clusters at once, which nobody else's listener does.
      [recipe(TYPES.listener, name, [port.protocol, printed, shares], [service, author], bytesListener, 'anywhere')]
    : [
        recipe(TYPES.listener, name, [], [service], requestsListener),
        recipe(
          TYPES.route,
          name,
          [port.port, printed, shares],
          [service, author],
          routeTable,
          shares.map(({ cluster }) => cluster),
        ),
      ];
  return [
    ...way,
    recipe(TYPES.cluster, name, [port.protocol, accepted], [service], clusterOf),
    recipe(TYPES.endpoints, name, [workloads, reachedAt], [service, ...workloads], endpointsOf),
  ];
}

/** A listener without an address, as gRPC clients ask for one by the name that they call. */
const requestsListener = (name: string): Uint8Array =>
  encode(Listener, {
    name,
    api_listener: {
      api_listener: httpConnectionManager({
        stat_prefix: name,
        rds: { config_source: fromAds, route_config_name: name },
      }),
    },
  });

/**
 * A listener without an address as well, which is found by the name that is called, and names the clusters itself. Envoy
 * takes no weights of 0; where all are 0, or there is nobody at all, it closes.
 */
function bytesListener(name: string, protocol: Protocol, author: string, shares: readonly Share[]): Uint8Array {
  const clusters = shares.flatMap(({ cluster, weight }) => (weight > 0 ? [{ name: cluster, weight }] : []));
  const [first, ...others] = clusters;
  const filter = first
    ? tcpProxy(name, others.length === 0 ? { cluster: first.name } : { weighted_clusters: { clusters } })
    : CLOSE;
  return encode(Listener, {
    name,
    // Whom a connection means by TLS of its own is read as it passes, and nobody waits for it.
    ...(protocol === 'TLS' && { listener_filters: [TLS_INSPECTOR] }),
    filter_chains: [{ name: author, filters: [filter] }],
    traffic_direction: TrafficDirection.OUTBOUND,
    internal_listener: {},
  });
}

/**
 * One route for everything. Gateway API (HTTPRoute backendRefs): a backend that cannot be resolved answers 500 for its
 * share, and so does a split whose weights are all zero.
 */
function routeTable(name: string, port: number, author: string, shares: readonly Share[]): Uint8Array {
  const clusters = shares.map(({ cluster, weight }) => ({ name: cluster, weight: { value: weight } }));
  const destination = clusters.some(({ weight }) => weight.value > 0)
    ? {
        route: {
          ...(clusters.length === 1 ? { cluster: clusters[0]?.name ?? '' } : { weighted_clusters: { clusters } }),
          cluster_not_found_response_code: RouteAction.ClusterNotFoundResponseCode.INTERNAL_SERVER_ERROR,
          // Envoy would cut every answer off after 15 s if this were not said.
          timeout: { seconds: 0 },
        },
      }
    : { direct_response: { status: 500 } };
  return encode(RouteConfiguration, {
    name,
    virtual_hosts: [
      {
        name,
        domains: port === 80 ? [name, name.slice(0, -':80'.length)] : [name],
        routes: [{ name: author, match: { prefix: '/' }, ...destination }],
      },
    ],
  });
}

/** A service with nothing behind it has a cluster all the same: its callers hear "no endpoint" and not "no service". */
const clusterOf = (name: string, protocol: Protocol, accepted: readonly string[]): Uint8Array =>
  encode(Cluster, {
    name,
    type: Cluster.DiscoveryType.EDS,
    eds_cluster_config: { eds_config: fromAds, service_name: name },
    connect_timeout: { seconds: CONNECT_TIMEOUT_S },
    ...securityOf(accepted),
    ...(isBytes(protocol) ? {} : { typed_extension_protocol_options: httpOptions(protocol) }),
  });

const httpOptions = (protocol: Protocol): Record<string, google.protobuf.IAny> => ({
  'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': any(HttpProtocolOptions, upstreamHttp(protocol)),
});

/** One kind of security for all endpoints, or for each the one that it is marked for. */
function securityOf(accepted: readonly string[]): envoy.config.cluster.v3.ICluster {
  const identities = accepted.filter((who) => who !== PLAINTEXT);
  if (identities.length === accepted.length) return { transport_socket: upstreamTls(identities) };
  return identities.length === 0 ? {} : { transport_socket_matches: byMark(upstreamTls(identities)) };
}

const upstreamHttp = (protocol: Protocol): envoy.extensions.upstreams.http.v3.IHttpProtocolOptions =>
  protocol === 'HTTP2' || protocol === 'GRPC'
    ? { explicit_http_config: { http2_protocol_options: {} } }
    : { use_downstream_protocol_config: { http2_protocol_options: {} } };

const HEALTH: Record<Health, number> = {
  Healthy: HealthStatus.HEALTHY,
  Unhealthy: HealthStatus.UNHEALTHY,
  Draining: HealthStatus.DRAINING,
};

const endpointsOf = (name: string, workloads: readonly Workload[], reachedAt: readonly number[]): Uint8Array =>
  encode(ClusterLoadAssignment, {
    cluster_name: name,
    endpoints:
      workloads.length === 0
        ? []
        : [
            {
              // gRPC refuses a locality that is absent or weighs nothing.
              locality: {},
              load_balancing_weight: { value: 1 },
              lb_endpoints: workloads.map(({ spec }, at) => ({
                endpoint: { address: { socket_address: { address: spec.address, port_value: reachedAt[at] ?? 0 } } },
                health_status: HEALTH[spec.health],
                ...(spec.identity === undefined ? {} : { metadata: MUTUAL_TLS }),
              })),
            },
          ],
  });
