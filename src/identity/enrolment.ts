/** Gives sidecars their certificates: the first for a join token, the following for the one before. */
import { createHash } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import type * as x509 from '@peculiar/x509';
import { keyOf } from '../model/document.js';
import { sluice } from '../proto/messages.js';
import { authorised, over } from '../rpc/authorised.js';
import type { LimitedLog } from '../rpc/limited-log.js';
import { unary, type StreamMethod } from '../rpc/method.js';
import { networkOf } from '../rpc/network.js';
import { enrolmentName, type Peer } from '../rpc/peer.js';
import { Rates } from '../rpc/rates.js';
import { GrpcRefusal, STATUS } from '../rpc/refusal.js';
import { EnrolmentStore, type BadToken, type Claims } from '../store/enrolment-store.js';
import type { Authority, IssuedCertificate } from './authority.js';
import { readSigningRequest } from './certificates.js';

const { JoinRequest, JoinResponse, RenewRequest, RenewResponse } = sluice.v1;

/** A sidecar renews its certificate once in many hours; a few more for one that restarts over and over. */
const RENEWALS = 5;
const RENEWAL_EVERY_MS = 600_000;
/**
 * Joins of one network that may fail at once, and how long one takes to come back, in milliseconds. Whoever goes on is answered
 * late: then it can have only so many under way, and whoever brings a good token from there is let in all the same.
 */
const FAILURES = 20;
const FAILURE_EVERY_MS = 1_000;
const LATE_MS = 1_000;

export class Enrolment {
  private readonly renewals = new Rates(RENEWALS, RENEWAL_EVERY_MS);
  private readonly failures = new Rates(FAILURES, FAILURE_EVERY_MS);

  /** @param isThere whether the sidecar of an enrolment has its stream */
  constructor(
    private readonly authority: Authority,
    private readonly enrolments: EnrolmentStore,
    private readonly isThere: (enrolment: string) => boolean,
    private readonly log: LimitedLog,
    private readonly onFailure: (error: unknown) => void,
  ) {}

  /** For those who have no certificate yet. */
  get joining(): StreamMethod<sluice.v1.JoinRequest> {
    const path = '/sluice.v1.Enrolment/Join';
    const serve = (request: sluice.v1.JoinRequest, peer: Peer) =>
      this.join(request, peer).catch((error: unknown) => this.failed(error, peer));
    return unary(path, JoinRequest, JoinResponse, serve, this.onFailure);
  }

  /** For those who prove an enrolment already. */
  get renewing(): StreamMethod<sluice.v1.RenewRequest> {
    const path = '/sluice.v1.Renewal/Renew';
    return unary(path, RenewRequest, RenewResponse, (request, peer) => this.renew(request, peer), this.onFailure);
  }

  /** The certificate is made before the token is used up: a token is not lost to what cannot be signed. */
  private async join(request: sluice.v1.JoinRequest, peer: Peer): Promise<sluice.v1.IJoinResponse> {
    const { token, signing_request } = request;
    const { address, from } = peer;
    // Whoever brings none has us look at nothing else.
    const invited = await this.enrolments.invited(token);
    if (invited.refused !== undefined) throw this.bad(invited, peer);
    const publicKey = await publicKeyOf(signing_request);
    const key = createHash('sha256').update(new Uint8Array(publicKey.rawData)).digest('hex');
    const { invitation, joined } = invited;
    // It was used: for who did so, and may not have heard the answer, it is as good as before, and for nobody else.
    if (joined && joined.key !== key) throw this.bad({ refused: 'used', id: invitation.id }, peer);
    if (joined) this.refuseHaste(joined.enrolment, peer);
    const id = joined?.enrolment ?? EnrolmentStore.newId();
    const issued = await this.issue(id, invitation, publicKey);
    const fresh = { id, key, certificateEndsAt: issued.notAfter };
    const redeemed = await this.enrolments.redeem(token, fresh, ({ id: holder }) => this.isThere(holder));
    if (redeemed.refused === 'overtaken') return this.join(request, peer);
    if (redeemed.refused === 'held') {
      const { namespace, name, id: holder, joinedAt } = redeemed.holder;
      const workload = keyOf({ namespace, name });
      this.log.warn(
        networkOf(address),
        { event: 'join-refused', workload, holder, from },
        'another sidecar speaks for the workload',
      );
      throw new GrpcRefusal(
        STATUS.failedPrecondition,
        `workload ${workload} has a sidecar, enrolment ${holder}, which joined at ${joinedAt} and is connected; choose another --name, or evict it (DELETE /v1/enrolments/${holder})`,
      );
    }
    if (redeemed.refused !== undefined) throw this.bad(redeemed, peer);
    const { namespace, name, identity } = redeemed.enrolment;
    return { certificate: this.certificate(issued, identity), namespace, name, enrolment: id };
  }

  private async renew({ signing_request }: sluice.v1.RenewRequest, peer: Peer): Promise<sluice.v1.IRenewResponse> {
    const enrolment = authorised(this.enrolments, peer);
    const { id, identity } = enrolment;
    this.refuseHaste(id, peer);
    const issued = await this.issue(id, enrolment, await publicKeyOf(signing_request));
    // It may have been evicted meanwhile.
    if (!(await this.enrolments.renewed(id, issued.notAfter))) throw over(id, this.enrolments.get(id)?.ended);
    return { certificate: this.certificate(issued, identity) };
  }

  private refuseHaste(id: string, { from }: Peer): void {
    if (this.renewals.take(id, performance.now())) return;
    this.log.warn(id, { event: 'renewal-refused', enrolment: id, from }, 'renewed too often');
    throw new GrpcRefusal(STATUS.resourceExhausted, 'the certificate was renewed too often just now; try again later');
  }

  /** Whoever knocks learns only that the door stays shut. */
  private bad({ refused, id }: BadToken, { address, from }: Peer): GrpcRefusal {
    const fields = { event: 'join-refused', joinToken: id, reason: refused, from };
    this.log.warn(networkOf(address), fields, 'join token refused');
    return new GrpcRefusal(STATUS.permissionDenied, 'the join token is not good; ask for a new one');
  }

  /** What a caller is told whom nothing came of: at once, unless that is so over and over. */
  private async failed(error: unknown, { address }: Peer): Promise<never> {
    if (!this.failures.take(networkOf(address), performance.now())) await pause(LATE_MS, undefined, { ref: false });
    throw error;
  }

  private issue(id: string, { identity }: Pick<Claims, 'identity'>, publicKey: x509.PublicKey) {
    return this.authority.issue(identity, publicKey, [{ type: 'dns', value: enrolmentName(id) }]);
  }

  private certificate({ chain }: IssuedCertificate, identity: string): sluice.v1.ICertificate {
    return { chain: [...chain], trust_anchors: [...this.authority.anchors], spiffe_id: identity };
  }
}

async function publicKeyOf(signingRequest: Uint8Array): Promise<x509.PublicKey> {
  const key = await readSigningRequest(signingRequest);
  if ('fault' in key) throw new GrpcRefusal(STATUS.invalidArgument, key.fault);
  return key;
}
