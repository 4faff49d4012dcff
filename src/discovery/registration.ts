/** Lets sidecars say where their workloads are and how they fare; who they are was settled when they joined. */
import * as grpc from '@grpc/grpc-js';
import { isIpAddress } from '../model/addresses.js';
import { keyOf } from '../model/document.js';
import { MeshError } from '../model/mesh-error.js';
import type { Health, WorkloadSpec } from '../model/workload.js';
import { sluice } from '../proto/messages.js';
import type { Claims, EnrolmentStore } from '../store/enrolment-store.js';
import type { Registry } from '../store/registry.js';
import { GrpcRefusal, callerOf, handleUnary, unary } from '../stream/grpc.js';
import type { Worlds } from '../world/fold.js';
import type { Presence } from './presence.js';

const { ReportRequest, ReportResponse, LeaveRequest, LeaveResponse, Health: WireHealth } = sluice.v1;

type Call<Request, Response> = grpc.ServerUnaryCall<Request, Response>;

const HEALTH: Readonly<Record<number, Health>> = {
  [WireHealth.HEALTH_HEALTHY]: 'Healthy',
  [WireHealth.HEALTH_UNHEALTHY]: 'Unhealthy',
  [WireHealth.HEALTH_DRAINING]: 'Draining',
};

export class Registration {
  constructor(
    private readonly worlds: Worlds,
    private readonly registry: Registry,
    private readonly enrolments: EnrolmentStore,
    private readonly presence: Presence,
    private readonly onFailure: (error: unknown) => void,
  ) {}

  get service(): [grpc.ServiceDefinition, grpc.UntypedServiceImplementation] {
    return [
      {
        report: unary('/sluice.v1.Registration/Report', ReportRequest, ReportResponse),
        leave: unary('/sluice.v1.Registration/Leave', LeaveRequest, LeaveResponse),
      },
      {
        report: handleUnary(
          (call: Call<sluice.v1.ReportRequest, sluice.v1.IReportResponse>) => this.report(call),
          this.onFailure,
        ),
        leave: handleUnary(
          (call: Call<sluice.v1.LeaveRequest, sluice.v1.ILeaveResponse>) => this.leave(call),
          this.onFailure,
        ),
      },
    ];
  }

  private async report(
    call: Call<sluice.v1.ReportRequest, sluice.v1.IReportResponse>,
  ): Promise<sluice.v1.IReportResponse> {
    const claims = await this.claimsOf(call);
    const spec = specOf(call.request, claims);
    this.refuseByHand(claims);
    this.presence.heard(keyOf(claims), spec.health);
    const { namespace, name, labels } = claims;
    const fact = { enrolment: '', namespace, name, labels, spec, reportedAt: new Date().toISOString() };
    await this.kept(this.registry.put(fact));
    return { revision: this.worlds.current.revision };
  }

  /** Throws ALREADY_EXISTS when somebody has registered a workload of that name by hand. */
  private refuseByHand(claims: Claims): void {
    const workload = this.worlds.current.mesh.Workload.get(keyOf(claims));
    if (workload?.metadata.origin !== 'rest') return;
    throw new GrpcRefusal(
      grpc.status.ALREADY_EXISTS,
      `Workload ${keyOf(claims)} was registered by hand, and only so it can be changed; delete it first`,
    );
  }

  private async kept(work: Promise<void>): Promise<void> {
    try {
      await work;
    } catch (error) {
      throw error instanceof MeshError ? new GrpcRefusal(grpc.status.UNAVAILABLE, error.message) : error;
    }
  }

  private async leave(call: Call<sluice.v1.LeaveRequest, sluice.v1.ILeaveResponse>): Promise<sluice.v1.ILeaveResponse> {
    const claims = await this.claimsOf(call);
    await this.kept(this.registry.remove(claims));
    return {};
  }

  /** What the caller may speak for. Throws PERMISSION_DENIED when that is not the workload that it names. */
  private async claimsOf(call: Call<{ namespace: string; name: string }, unknown>): Promise<Claims> {
    const identity = callerOf(call, this.worlds.current.mesh.trustDomain);
    const { namespace, name } = call.request;
    const claims = await this.enrolments.find(namespace, name);
    if (claims?.identity === identity) return claims;
    throw new GrpcRefusal(
      grpc.status.PERMISSION_DENIED,
      `${identity} does not speak for workload ${namespace}/${name}; it never joined as that one, or was evicted`,
    );
  }
}

function specOf({ address, port, health }: sluice.v1.ReportRequest, { identity }: Claims): WorkloadSpec {
  const known = HEALTH[health];
  // Of an address with a zone, nobody else can make sense.
  if (!isIpAddress(address) || port > 65_535 || !known) {
    throw new GrpcRefusal(
      grpc.status.INVALID_ARGUMENT,
      'a report needs an IP address, a port up to 65535 and a health',
    );
  }
  return { address, ...(port > 0 && { port }), identity, health: known };
}
