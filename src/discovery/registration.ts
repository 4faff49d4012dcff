/** Lets sidecars say where their workloads are and how they fare; who they are was settled when they joined. */
import * as grpc from '@grpc/grpc-js';
import { isIpAddress } from '../model/addresses.js';
import { keyOf, type Draft } from '../model/document.js';
import { find } from '../model/mesh.js';
import { MeshError } from '../model/mesh-error.js';
import type { Health, WorkloadSpec } from '../model/workload.js';
import { sluice } from '../proto/messages.js';
import type { Claims, EnrolmentStore } from '../store/enrolment-store.js';
import type { MeshStore } from '../store/mesh-store.js';
import { GrpcRefusal, callerOf, handleUnary, unary } from '../stream/grpc.js';
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
    private readonly store: MeshStore,
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
    const draft = workloadOf(claims, spec);
    this.presence.heard(keyOf(claims), spec.health);
    try {
      const { revision } = await this.store.commit(() => ({ put: [draft] }), {
        author: claims.identity,
        comment: 'reported by its sidecar',
      });
      return { revision };
    } catch (error) {
      if (!(error instanceof MeshError)) throw error;
      const status = error.code === 'conflict' ? grpc.status.ALREADY_EXISTS : grpc.status.UNAVAILABLE;
      throw new GrpcRefusal(status, error.message);
    }
  }

  private async leave(call: Call<sluice.v1.LeaveRequest, sluice.v1.ILeaveResponse>): Promise<sluice.v1.ILeaveResponse> {
    const claims = await this.claimsOf(call);
    const ref = { kind: 'Workload', namespace: claims.namespace, name: claims.name } as const;
    await this.store.commit(({ mesh }) => (find(mesh, ref)?.metadata.origin === 'sidecar' ? { remove: [ref] } : {}), {
      author: claims.identity,
      comment: 'left',
    });
    return {};
  }

  /** What the caller may speak for. Throws PERMISSION_DENIED when that is not the workload that it names. */
  private async claimsOf(call: Call<{ namespace: string; name: string }, unknown>): Promise<Claims> {
    const identity = callerOf(call, this.store.current.mesh.trustDomain);
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

const workloadOf = ({ namespace, name, labels }: Claims, spec: WorkloadSpec): Draft => ({
  kind: 'Workload',
  namespace,
  name,
  labels,
  annotations: {},
  origin: 'sidecar',
  spec,
});
