/** A client of the gRPC ports that says exactly what it is told: for what sidecars ought to do, and what they ought not. */
import * as grpc from '@grpc/grpc-js';
import 'reflect-metadata';
import * as x509 from '@peculiar/x509';
import type { Writer } from 'protobufjs';
import { generateKeys } from '../../src/identity/certificates.js';
import { envoy, sluice } from '../../src/proto/messages.js';

const { DeltaDiscoveryRequest, DeltaDiscoveryResponse } = envoy.service.discovery.v3;

type Response = InstanceType<typeof DeltaDiscoveryResponse>;

/** The ports of a control plane, and somebody who makes join tokens for it. */
export interface Doors {
  readonly joinPort: number;
  readonly xdsPort: number;
  /** PEM. */
  readonly trustAnchors: string;
  joinToken(namespace: string, claims: Claims): Promise<string>;
}

export interface Claims {
  readonly name: string;
  readonly [claim: string]: unknown;
}

interface Message<Value> {
  encode(value: Value): Writer;
  decode(bytes: Uint8Array): Value;
}

/** A key with a signing request for it. */
export async function signingRequest(): Promise<{ key: string; request: Uint8Array }> {
  const keys = await generateKeys();
  const signingAlgorithm = { name: 'ECDSA', hash: 'SHA-256' };
  const request = await x509.Pkcs10CertificateRequestGenerator.create({ keys, signingAlgorithm });
  const pkcs8 = await crypto.subtle.exportKey('pkcs8', keys.privateKey);
  return { key: x509.PemConverter.encode(pkcs8, 'PRIVATE KEY'), request: new Uint8Array(request.rawData) };
}

/** Calls a unary method once. Rejects with the status of gRPC. */
function unary<Request extends object, Reply extends object>(
  client: grpc.Client,
  path: string,
  request: { readonly type: Message<Request>; readonly value: Request },
  reply: Message<Reply>,
): Promise<Reply> {
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(
      path,
      (value: Request) => Buffer.from(request.type.encode(value).finish()),
      (bytes) => reply.decode(bytes),
      request.value,
      { deadline: Date.now() + 5_000 },
      (error, value) => (error || !value ? reject(error ?? new Error('no answer')) : resolve(value)),
    );
  });
}

const connect = (port: number, credentials: grpc.ChannelCredentials): grpc.Client =>
  new grpc.Client(`127.0.0.1:${port}`, credentials, {
    'grpc.use_local_subchannel_pool': 1,
    'grpc.ssl_target_name_override': 'localhost',
  });

/** Joins with `token`; rejects with the status of gRPC. */
export async function join(doors: Doors, token: string, request: Uint8Array): Promise<sluice.v1.JoinResponse> {
  const client = connect(doors.joinPort, grpc.credentials.createSsl(Buffer.from(doors.trustAnchors)));
  try {
    const value = { token, signing_request: request } as sluice.v1.JoinRequest;
    const { JoinRequest, JoinResponse } = sluice.v1;
    return await unary(
      client,
      '/sluice.v1.Enrolment/Join',
      { type: JoinRequest, value },
      JoinResponse as Message<sluice.v1.JoinResponse>,
    );
  } finally {
    client.close();
  }
}

const pemOf = (chain: readonly Uint8Array[]): string =>
  chain.map((der) => new x509.X509Certificate(Uint8Array.from(der)).toString('pem')).join('\n');

const credentialsOf = (doors: Doors, key: string, chain: readonly Uint8Array[]): grpc.ChannelCredentials =>
  grpc.credentials.createSsl(Buffer.from(doors.trustAnchors), Buffer.from(key), Buffer.from(pemOf(chain)));

/** A sidecar that has joined and does nothing by itself. */
export class JoinedClient {
  private constructor(
    private readonly client: grpc.Client,
    readonly namespace: string,
    readonly name: string,
    readonly spiffeId: string,
    readonly enrolment: string,
    readonly chain: readonly Uint8Array[],
    readonly key: string,
  ) {}

  /** Makes a token for `claims` and joins with it. */
  static async join(doors: Doors, namespace: string, claims: Claims): Promise<JoinedClient> {
    const { key, request } = await signingRequest();
    const { certificate, enrolment } = await join(doors, await doors.joinToken(namespace, claims), request);
    const chain = certificate?.chain ?? [];
    const client = connect(doors.xdsPort, credentialsOf(doors, key, chain));
    return new JoinedClient(client, namespace, claims.name, certificate?.spiffe_id ?? '', enrolment, chain, key);
  }

  /** Another process with the same key and certificate. */
  copy(doors: Doors): JoinedClient {
    const { namespace, name, spiffeId, enrolment, chain, key } = this;
    const client = connect(doors.xdsPort, credentialsOf(doors, key, chain));
    return new JoinedClient(client, namespace, name, spiffeId, enrolment, chain, key);
  }

  /** The certificate with its issuers, as a TLS client shows it. */
  get certificate(): string {
    return pemOf(this.chain);
  }

  report(fields: Partial<sluice.v1.IReportRequest>): Promise<sluice.v1.IReportResponse> {
    const { ReportRequest, ReportResponse, Health } = sluice.v1;
    const { namespace, name } = this;
    const value = {
      namespace,
      name,
      address: '127.0.0.1',
      ports: [{ port: 9_000 }],
      health: Health.HEALTH_HEALTHY,
      ...fields,
    };
    return unary(this.client, '/sluice.v1.Registration/Report', { type: ReportRequest, value }, ReportResponse);
  }

  leave(): Promise<sluice.v1.ILeaveResponse> {
    const { LeaveRequest, LeaveResponse } = sluice.v1;
    const value = { namespace: this.namespace, name: this.name };
    return unary(this.client, '/sluice.v1.Registration/Leave', { type: LeaveRequest, value }, LeaveResponse);
  }

  async renew(): Promise<sluice.v1.IRenewResponse> {
    const { RenewRequest, RenewResponse } = sluice.v1;
    const { request } = await signingRequest();
    const value = { signing_request: request };
    return unary(this.client, '/sluice.v1.Renewal/Renew', { type: RenewRequest, value }, RenewResponse);
  }

  stream(): Stream {
    return new Stream(this.client);
  }

  close(): void {
    this.client.close();
  }
}

/** An aggregated stream; what comes over it is taken out one by one. */
export class Stream {
  private readonly call: grpc.ClientDuplexStream<object, Response>;
  private readonly arrived: Response[] = [];
  private readonly waiting: ((response: Response) => void)[] = [];
  /** The status with which the stream ended. */
  readonly ended: Promise<grpc.StatusObject>;

  constructor(client: grpc.Client) {
    this.call = client.makeBidiStreamRequest(
      '/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources',
      (request: object) => Buffer.from(DeltaDiscoveryRequest.encode(request).finish()),
      (bytes) => DeltaDiscoveryResponse.decode(bytes),
    );
    this.call.on('data', (response: Response) => {
      const next = this.waiting.shift();
      if (next) next(response);
      else this.arrived.push(response);
    });
    this.call.on('error', () => undefined);
    this.ended = new Promise((resolve) => this.call.on('status', resolve));
  }

  send(request: envoy.service.discovery.v3.IDeltaDiscoveryRequest): void {
    this.call.write(request);
  }

  /** The next response, whenever it comes. */
  next(): Promise<Response> {
    const response = this.arrived.shift();
    return response ? Promise.resolve(response) : new Promise((resolve) => this.waiting.push(resolve));
  }

  close(): void {
    this.call.cancel();
  }
}
