/** A pretended sidecar over the real ports: joins, reports, holds what it is told, acknowledges, and comes back when cut. */
import { webcrypto } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import * as grpc from '@grpc/grpc-js';
import 'reflect-metadata';
import * as x509 from '@peculiar/x509';
import { envoy, sluice } from '../../../src/proto/messages.js';
import { NAMESPACE, type ControlPlane } from './control-plane.ts';

const { DeltaDiscoveryRequest, DeltaDiscoveryResponse } = envoy.service.discovery.v3;
const { RouteConfiguration } = envoy.config.route.v3;
type Response = InstanceType<typeof DeltaDiscoveryResponse>;

x509.cryptoProvider.set(webcrypto as Crypto);
grpc.setLogVerbosity(grpc.logVerbosity.NONE);

const TYPES = {
  cluster: 'type.googleapis.com/envoy.config.cluster.v3.Cluster',
  endpoints: 'type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment',
  listener: 'type.googleapis.com/envoy.config.listener.v3.Listener',
  route: 'type.googleapis.com/envoy.config.route.v3.RouteConfiguration',
} as const;
const ORDER = Object.values(TYPES);
const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const OPTIONS = { 'grpc.ssl_target_name_override': 'localhost', 'grpc.use_local_subchannel_pool': 1 };

/** Shares of the first backend by the bytes of a route table, read once though a thousand sidecars hold it. */
const shares = new Map<string, number>();

export class PretendedSidecar {
  private readonly held = new Map<string, Map<string, string>>(ORDER.map((type) => [type, new Map()]));
  /** What each route table that it holds gives to the first backend. */
  private readonly firstShare = new Map<string, number>();
  private client: grpc.Client | undefined;
  private stream: grpc.ClientDuplexStream<object, Response> | undefined;
  private over = false;
  bytes = 0;
  /** The words of the last end of its stream. */
  ended = '';

  private readonly server: ControlPlane;
  private readonly name: string;
  private readonly services: readonly string[];
  private readonly delayMs: number;
  private readonly credentials: grpc.ChannelCredentials;

  private constructor(
    server: ControlPlane,
    name: string,
    services: readonly string[],
    delayMs: number,
    credentials: grpc.ChannelCredentials,
  ) {
    this.server = server;
    this.name = name;
    this.services = services;
    this.delayMs = delayMs;
    this.credentials = credentials;
  }

  /**
   * Joins as `name`, to hold `services` and their backends. @param delayMs how long it takes at most to obey, by chance
   */
  static async join(
    server: ControlPlane,
    name: string,
    services: readonly string[],
    delayMs = 0,
  ): Promise<PretendedSidecar> {
    const keys = (await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify'])) as CryptoKeyPair;
    const csr = await x509.Pkcs10CertificateRequestGenerator.create({ keys, signingAlgorithm: ALGORITHM });
    const { text } = await server.rest('POST', `/v1/namespaces/${NAMESPACE}/join-tokens`, { name });
    const anchors = server.trustAnchors;
    const client = new grpc.Client(`127.0.0.1:${server.ports.join}`, grpc.credentials.createSsl(anchors), OPTIONS);
    const value = {
      token: (JSON.parse(text) as { token: string }).token,
      signing_request: new Uint8Array(csr.rawData),
    };
    const joined = await new Promise<sluice.v1.JoinResponse>((resolve, reject) => {
      client.makeUnaryRequest(
        '/sluice.v1.Enrolment/Join',
        (request: typeof value) => Buffer.from(sluice.v1.JoinRequest.encode(request).finish()),
        (bytes) => sluice.v1.JoinResponse.decode(bytes),
        value,
        (error, response) => (error || !response ? reject(error ?? new Error('no answer')) : resolve(response)),
      );
    });
    client.close();
    const key = x509.PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey), 'PRIVATE KEY');
    const chain = (joined.certificate?.chain ?? []).map((der) =>
      x509.PemConverter.encode(Uint8Array.from(der), 'CERTIFICATE'),
    );
    const credentials = grpc.credentials.createSsl(anchors, Buffer.from(key), Buffer.from(chain.join('\n')));
    return new PretendedSidecar(server, name, services, delayMs, credentials);
  }

  get isConnected(): boolean {
    return this.stream !== undefined;
  }

  /** The weight of the first backend of `service` as this sidecar holds it now. */
  share(service: string): number | undefined {
    return this.firstShare.get(`${service}.${NAMESPACE}:80`);
  }

  /** Opens its stream, and opens it again whenever it ends, until `leave`. */
  connect(): void {
    const client = new grpc.Client(`127.0.0.1:${this.server.ports.xds}`, this.credentials, {
      ...OPTIONS,
      'grpc.initial_reconnect_backoff_ms': 100,
    });
    this.client = client;
    this.report(client);
    const stream = client.makeBidiStreamRequest(
      '/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources',
      (request: object) => Buffer.from(DeltaDiscoveryRequest.encode(request).finish()),
      (bytes) => {
        this.bytes += bytes.length;
        return DeltaDiscoveryResponse.decode(bytes);
      },
    );
    this.stream = stream;
    let queue = Promise.resolve();
    stream.on('data', (response: Response) => {
      queue = queue.then(() => this.obey(stream, response));
    });
    stream.on('error', ({ message }: Error) => this.lost(stream, message));
    stream.on('end', () => this.lost(stream, 'it ended'));
    for (const type of ORDER) {
      stream.write({
        ...(type === ORDER[0] && { node: { id: `${NAMESPACE}/${this.name}`, user_agent_name: 'sluice-proxy' } }),
        type_url: type,
        resource_names_subscribe: this.names(type),
        initial_resource_versions: Object.fromEntries(this.held.get(type) ?? []),
      });
    }
  }

  leave(): void {
    this.over = true;
    this.stream?.cancel();
    this.stream = undefined;
    this.client?.close();
  }

  private names(type: string): string[] {
    const backends = type === TYPES.cluster || type === TYPES.endpoints ? ['v1', 'v2'] : [];
    return [...this.services, ...backends].map((service) => `${service}.${NAMESPACE}:80`);
  }

  private report(client: grpc.Client): void {
    const { ReportRequest, ReportResponse, Health } = sluice.v1;
    const value = {
      namespace: NAMESPACE,
      name: this.name,
      address: '127.0.0.1',
      health: Health.HEALTH_HEALTHY,
    };
    client.makeUnaryRequest(
      '/sluice.v1.Registration/Report',
      (request: typeof value) => Buffer.from(ReportRequest.encode(request).finish()),
      (bytes) => ReportResponse.decode(bytes),
      value,
      (error) => (this.ended = error?.message ?? this.ended),
    );
  }

  private async obey(stream: typeof this.stream, response: Response): Promise<void> {
    if (this.delayMs > 0) await pause(Math.random() * this.delayMs);
    const held = this.held.get(response.type_url);
    for (const { name, version, resource } of response.resources) {
      held?.set(name ?? '', version ?? '');
      if (response.type_url === TYPES.route) this.firstShare.set(name ?? '', shareOf(version ?? '', resource?.value));
    }
    for (const name of response.removed_resources) held?.delete(name);
    if (this.stream === stream) stream?.write({ type_url: response.type_url, response_nonce: response.nonce });
  }

  private lost(stream: typeof this.stream, why: string): void {
    if (this.stream !== stream) return;
    this.stream = undefined;
    this.ended = why;
    this.client?.close();
    if (!this.over) setTimeout(() => this.over || this.connect(), 100 + Math.random() * 400);
  }
}

function shareOf(version: string, bytes: Uint8Array | null | undefined): number {
  const known = shares.get(version);
  if (known !== undefined) return known;
  const route = RouteConfiguration.decode(bytes ?? new Uint8Array()).virtual_hosts[0]?.routes?.[0]?.route;
  const share = Number(route?.weighted_clusters?.clusters?.[0]?.weight?.value ?? -1);
  shares.set(version, share);
  return share;
}
