/** The gRPC ports of the server: TLS 1.3 alone, a certificate that can be replaced while they serve, and callers by identity. */
import * as grpc from '@grpc/grpc-js';
import type { Writer } from 'protobufjs';
import type { SpiffeId } from '../model/names.js';
import { identityOf } from './peer.js';

/** What a port shows and whom it believes, as PEM. */
export interface TlsMaterial {
  readonly key: string;
  readonly cert: string;
  readonly ca: string;
}

// What goes wrong here is told to whoever asked for it; the library would print it as well.
grpc.setLogVerbosity(grpc.logVerbosity.NONE);

/** Liveness of streams comes from HTTP/2 pings: configuration may rightly stand still for days. */
const OPTIONS: grpc.ServerOptions = {
  'grpc.keepalive_time_ms': 10_000,
  'grpc.keepalive_timeout_ms': 5_000,
  'grpc.max_receive_message_length': 4 * 1024 * 1024,
  'grpc.max_concurrent_streams': 100,
};

/** TLS 1.3 with a certificate that may change; with or without asking the caller for one. */
class MeshCredentials extends grpc.ServerCredentials {
  constructor(material: TlsMaterial, mutual: boolean) {
    super({ requestCert: mutual, rejectUnauthorized: true }, contextOf(material));
  }

  replace(material: TlsMaterial): void {
    this.updateSecureContextOptions(contextOf(material));
  }

  override _equals(other: grpc.ServerCredentials): boolean {
    return this === other;
  }
}

const contextOf = ({ key, cert, ca }: TlsMaterial) => ({ key, cert, ca, minVersion: 'TLSv1.3' as const });

/** One port. Services are added before it listens. */
export class GrpcPort {
  private readonly server = new grpc.Server(OPTIONS);
  private readonly credentials: MeshCredentials;

  /** @param mutual whether a caller must prove an identity of the mesh before it is heard */
  constructor(material: TlsMaterial, mutual: boolean) {
    this.credentials = new MeshCredentials(material, mutual);
  }

  add<Handlers extends grpc.UntypedServiceImplementation>(
    service: grpc.ServiceDefinition<Handlers>,
    handlers: Handlers,
  ): void {
    this.server.addService(service, handlers);
  }

  /** Begins to serve and gives the port, which is chosen freely for port 0. Throws when the address cannot be had. */
  listen({ host, port }: { readonly host: string; readonly port: number }): Promise<number> {
    const address = `${host.includes(':') ? `[${host}]` : host}:${port}`;
    return new Promise((resolve, reject) =>
      this.server.bindAsync(address, this.credentials, (error, bound) => (error ? reject(error) : resolve(bound))),
    );
  }

  /** Shows `material` to whoever connects from now on. */
  replaceCertificate(material: TlsMaterial): void {
    this.credentials.replace(material);
  }

  /** Ends every call and lets go of the port. */
  close(): void {
    this.server.forceShutdown();
  }
}

/** A unary method of `service` with generated messages on both sides. */
export const unary = <Request, Response>(
  path: string,
  request: { decode(bytes: Uint8Array): Request },
  response: { encode(message: Response): Writer },
): grpc.MethodDefinition<Request, Response> => ({
  path,
  requestStream: false,
  responseStream: false,
  requestDeserialize: (bytes) => request.decode(bytes),
  responseSerialize: (message) => Buffer.from(response.encode(message).finish()),
  // A definition describes both ends; this end never uses these.
  requestSerialize: () => Buffer.alloc(0),
  responseDeserialize: () => undefined as never,
});

/** A refusal with a status of gRPC. */
export class GrpcRefusal extends Error implements Partial<grpc.StatusObject> {
  constructor(
    readonly code: grpc.status,
    readonly details: string,
  ) {
    super(details);
  }
}

/** Serves a unary call with an asynchronous function. What it throws, except a GrpcRefusal, stays here and is logged. */
export const handleUnary =
  <Request, Response>(
    work: (call: grpc.ServerUnaryCall<Request, Response>) => Promise<Response>,
    onFailure: (error: unknown) => void,
  ): grpc.handleUnaryCall<Request, Response> =>
  (call, answer) => {
    work(call).then(
      (response) => answer(null, response),
      (error: unknown) => {
        if (error instanceof GrpcRefusal) return answer(error);
        onFailure(error);
        answer(new GrpcRefusal(grpc.status.INTERNAL, 'the control plane failed; its log says why'));
      },
    );
  };

/** The identity that the caller proved. Throws PERMISSION_DENIED when it is none of this mesh. */
export function callerOf(
  call: { getAuthContext(): { sslPeerCertificate?: { raw?: Uint8Array } } },
  trustDomain: string,
): SpiffeId {
  const certificate = call.getAuthContext().sslPeerCertificate?.raw;
  const identity = certificate && identityOf(certificate, trustDomain);
  if (!identity)
    throw new GrpcRefusal(grpc.status.PERMISSION_DENIED, `the certificate proves no identity of ${trustDomain}`);
  return identity;
}
