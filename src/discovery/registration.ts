/** Lets sidecars say where their workloads are and how they fare; who they are was settled when they joined. */
import { isIpAddress } from '../model/addresses.js';
import { keyOf } from '../model/document.js';
import { MeshError } from '../model/mesh-error.js';
import type { Health, WorkloadSpec } from '../model/workload.js';
import { sluice } from '../proto/messages.js';
import { authorised, over } from '../rpc/authorised.js';
import { unary, type StreamMethod } from '../rpc/method.js';
import { callerOf, type Peer } from '../rpc/peer.js';
import { Rates } from '../rpc/rates.js';
import { GrpcRefusal, STATUS } from '../rpc/refusal.js';
import type { Claims, Enrolment, EnrolmentStore } from '../store/enrolment-store.js';
import type { Registry } from '../store/registry.js';
import type { AdsService } from '../stream/ads.js';
import type { Worlds } from '../world/fold.js';
import type { Presence } from './presence.js';
import { unreachable, type Vantage } from './reach.js';
import { portsOf } from './reported-ports.js';

const { ReportRequest, ReportResponse, LeaveRequest, LeaveResponse, Health: WireHealth } = sluice.v1;

const HEALTH: Readonly<Record<number, Health>> = {
  [WireHealth.HEALTH_HEALTHY]: 'Healthy',
  [WireHealth.HEALTH_UNHEALTHY]: 'Unhealthy',
  [WireHealth.HEALTH_DRAINING]: 'Draining',
};

/** A program may fall ill and get well in quick succession; what goes on like that is not worth telling everybody each time. */
const REPORTS = 20;
const REPORT_EVERY_MS = 1_000;

export interface RegistrationOptions {
  readonly worlds: Pick<Worlds, 'current'>;
  readonly registry: Registry;
  readonly enrolments: EnrolmentStore;
  readonly presence: Presence;
  readonly ads: AdsService;
  readonly reach: Omit<Vantage, 'source'>;
  readonly onFailure: (error: unknown) => void;
}

export class Registration {
  private readonly rates = new Rates(REPORTS, REPORT_EVERY_MS);

  constructor(private readonly options: RegistrationOptions) {}

  get reporting(): StreamMethod<sluice.v1.ReportRequest> {
    const path = '/sluice.v1.Registration/Report';
    return unary(
      path,
      ReportRequest,
      ReportResponse,
      (request, peer) => this.report(request, peer),
      this.options.onFailure,
    );
  }

  get leaving(): StreamMethod<sluice.v1.LeaveRequest> {
    const path = '/sluice.v1.Registration/Leave';
    return unary(
      path,
      LeaveRequest,
      LeaveResponse,
      (request, peer) => this.leave(request, peer),
      this.options.onFailure,
    );
  }

  private async report(request: sluice.v1.ReportRequest, peer: Peer): Promise<sluice.v1.IReportResponse> {
    const enrolment = this.enrolmentOf(request, peer);
    const spec = specOf(request, enrolment, { ...this.options.reach, source: peer.address });
    if (!this.rates.take(enrolment.id, performance.now())) {
      throw new GrpcRefusal(STATUS.resourceExhausted, 'too many reports just now; say later how it is by then');
    }
    await this.options.ads.refuseDouble({ peer });
    // It may have ended while that was found out.
    authorised(this.options.enrolments, peer);
    this.refuseEvicted(enrolment);
    this.refuseByHand(enrolment);
    this.options.presence.heard(keyOf(enrolment), spec.health);
    const { id, namespace, name, labels } = enrolment;
    const fact = { enrolment: id, namespace, name, labels, spec, reportedAt: new Date().toISOString() };
    await kept(this.options.registry.put(fact));
    // After the workload is there: one that has registered and has no workload was evicted.
    await kept(this.options.enrolments.registered(id));
    return { revision: this.options.worlds.current.revision };
  }

  /**
   * Throws PERMISSION_DENIED for one that has registered and has no workload any more: it was evicted, and a report of it must
   * not undo that before it is ended.
   */
  private refuseEvicted(enrolment: Enrolment): void {
    if (enrolment.registeredAt !== undefined && !this.options.registry.get(enrolment))
      throw over(enrolment.id, 'evicted');
  }

  /** Throws ALREADY_EXISTS when somebody has registered a workload of that name by hand. */
  private refuseByHand(claims: Claims): void {
    const workload = this.options.worlds.current.mesh.Workload.get(keyOf(claims));
    if (workload?.metadata.origin !== 'rest') return;
    throw new GrpcRefusal(
      STATUS.alreadyExists,
      `Workload ${keyOf(claims)} was registered by hand, and only so it can be changed; delete it first`,
    );
  }

  /** The enrolment ends first: should the rest fail, what is left of it is found. */
  private async leave(request: sluice.v1.LeaveRequest, peer: Peer): Promise<sluice.v1.ILeaveResponse> {
    // Whoever did not hear the answer asks again.
    if (this.options.enrolments.get(callerOf(peer).enrolment)?.ended === 'left') return {};
    const enrolment = this.enrolmentOf(request, peer);
    await this.options.ads.refuseDouble({ peer });
    // It may have ended while that was found out, and what there is may be another's by now.
    authorised(this.options.enrolments, peer);
    await kept(this.options.enrolments.end(enrolment.id, 'left'));
    await kept(this.options.registry.remove(enrolment));
    return {};
  }

  /** The enrolment that calls. Throws PERMISSION_DENIED when it has ended, or is not that of the workload that is named. */
  private enrolmentOf({ namespace, name }: { namespace: string; name: string }, peer: Peer): Enrolment {
    const enrolment = authorised(this.options.enrolments, peer);
    if (enrolment.namespace === namespace && enrolment.name === name) return enrolment;
    throw new GrpcRefusal(
      STATUS.permissionDenied,
      `enrolment ${enrolment.id} speaks for ${keyOf(enrolment)}, and not for ${keyOf({ namespace, name })}`,
    );
  }
}

function specOf(report: sluice.v1.ReportRequest, { identity }: Claims, vantage: Vantage): WorkloadSpec {
  const { address } = report;
  const health = HEALTH[report.health];
  // Of an address with a zone, nobody else can make sense.
  if (!isIpAddress(address) || !health) {
    throw new GrpcRefusal(STATUS.invalidArgument, 'a report needs an IP address and a health');
  }
  const ports = portsOf(report);
  const fault = 'fault' in ports ? ports.fault : unreachable(address, vantage);
  if ('fault' in ports || fault !== undefined) throw new GrpcRefusal(STATUS.invalidArgument, fault ?? '');
  return { address, ports, identity, health };
}

/** What the database does not take now, it may take later. */
async function kept<Result>(work: Promise<Result>): Promise<Result> {
  try {
    return await work;
  } catch (error) {
    throw error instanceof MeshError ? new GrpcRefusal(STATUS.unavailable, error.message) : error;
  }
}
