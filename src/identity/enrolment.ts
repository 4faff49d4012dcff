/** Gives sidecars their certificates: the first for a join token, the following for the one before. */
import * as grpc from '@grpc/grpc-js';
import type * as x509 from '@peculiar/x509';
import { sluice } from '../proto/messages.js';
import type { SpiffeId } from '../model/names.js';
import type { EnrolmentStore } from '../store/enrolment-store.js';
import { GrpcRefusal, callerOf, handleUnary, unary } from '../stream/grpc.js';
import type { Authority } from './authority.js';
import { readSigningRequest } from './certificates.js';

const { JoinRequest, JoinResponse, RenewRequest, RenewResponse } = sluice.v1;

interface Log {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

export class Enrolment {
  constructor(
    private readonly authority: Authority,
    private readonly enrolments: EnrolmentStore,
    private readonly log: Log,
  ) {}

  private readonly onFailure = (err: unknown): void => this.log.error({ err }, 'a certificate could not be issued');

  /** The service for those who have no certificate yet. */
  get joining(): [grpc.ServiceDefinition, grpc.UntypedServiceImplementation] {
    return [
      { join: unary('/sluice.v1.Enrolment/Join', JoinRequest, JoinResponse) },
      {
        join: handleUnary(
          (call: grpc.ServerUnaryCall<sluice.v1.JoinRequest, sluice.v1.IJoinResponse>) => this.join(call),
          this.onFailure,
        ),
      },
    ];
  }

  /** The service for those who prove an identity already. */
  get renewing(): [grpc.ServiceDefinition, grpc.UntypedServiceImplementation] {
    return [
      { renew: unary('/sluice.v1.Renewal/Renew', RenewRequest, RenewResponse) },
      {
        renew: handleUnary(
          (call: grpc.ServerUnaryCall<sluice.v1.RenewRequest, sluice.v1.IRenewResponse>) => this.renew(call),
          this.onFailure,
        ),
      },
    ];
  }

  /** The signing request is read first: a token is not used up for one that cannot be signed. */
  private async join(
    call: grpc.ServerUnaryCall<sluice.v1.JoinRequest, sluice.v1.IJoinResponse>,
  ): Promise<sluice.v1.IJoinResponse> {
    const publicKey = await publicKeyOf(call.request.signing_request);
    const redeemed = await this.enrolments.redeem(call.request.token);
    if (redeemed.refused !== undefined) {
      this.log.warn({ token: redeemed.id, reason: redeemed.refused, from: call.getPeer() }, 'join token refused');
      throw new GrpcRefusal(grpc.status.PERMISSION_DENIED, 'the join token is not good; ask for a new one');
    }
    const { namespace, name, identity } = redeemed.claims;
    this.log.info({ workload: `${namespace}/${name}`, identity, from: call.getPeer() }, 'sidecar joined');
    return { certificate: await this.issue(identity, publicKey), namespace, name };
  }

  private async renew(
    call: grpc.ServerUnaryCall<sluice.v1.RenewRequest, sluice.v1.IRenewResponse>,
  ): Promise<sluice.v1.IRenewResponse> {
    const identity = callerOf(call, this.authority.trustDomain);
    if (!(await this.enrolments.isEnrolled(identity))) {
      this.log.warn({ identity, from: call.getPeer() }, 'renewal refused: no sidecar of this identity is enrolled');
      throw new GrpcRefusal(
        grpc.status.PERMISSION_DENIED,
        'no sidecar of this identity is enrolled any more; join again',
      );
    }
    return { certificate: await this.issue(identity, await publicKeyOf(call.request.signing_request)) };
  }

  private async issue(identity: SpiffeId, publicKey: x509.PublicKey): Promise<sluice.v1.ICertificate> {
    const { chain } = await this.authority.issue(identity, publicKey);
    return { chain: [...chain], trust_anchors: [...this.authority.anchors], spiffe_id: identity };
  }
}

async function publicKeyOf(signingRequest: Uint8Array): Promise<x509.PublicKey> {
  const key = await readSigningRequest(signingRequest);
  if ('fault' in key) throw new GrpcRefusal(grpc.status.INVALID_ARGUMENT, key.fault);
  return key;
}
