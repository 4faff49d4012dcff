/** Discovery: which services there are, which workloads stand behind them, and how those come and go. */
import { Module, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import { documentController } from '../api/document.controller.js';
import type { Context, Door } from '../api/document-door.js';
import { LOG, type Log } from '../log.js';
import { isLoopback } from '../model/addresses.js';
import { pointer, type Fault } from '../model/fault.js';
import { SERVICE_LABEL, parseSpiffeId, type SpiffeId } from '../model/names.js';
import { portsInOrder } from '../model/workload.js';
import { SidecarPorts } from '../rpc/ports.js';
import { RpcModule } from '../rpc/rpc.module.js';
import { SERVER_SETTINGS, type Settings } from '../settings.js';
import { EnrolmentStore } from '../store/enrolment-store.js';
import { Registry } from '../store/registry.js';
import { StoreModule } from '../store/store.module.js';
import { Fleet } from '../status/fleet.js';
import { Silence } from '../status/silence.js';
import { StatusModule } from '../status/status.module.js';
import { AdsService } from '../stream/ads.js';
import { StreamModule } from '../stream/stream.module.js';
import { ProcessLeases } from '../work/lease.js';
import { Worlds } from '../world/fold.js';
import { WorldModule } from '../world/world.module.js';
import { servicePortFaults, workloadPortFaults } from './port.faults.js';
import { Presence } from './presence.js';
import { Registration } from './registration.js';
import { ServiceDto, type ServiceSpecDto } from './service.dto.js';
import { WorkloadDto, type WorkloadSpecDto } from './workload.dto.js';

export const serviceDoor: Door<'Service', ServiceSpecDto> = {
  kind: 'Service',
  tag: 'Services',
  dto: ServiceDto,
  spec: ({ selector, ports }) => ({
    ...(selector && { selector }),
    ports: ports
      .map(({ name, port, targetPort, protocol = 'HTTP' }) => ({
        ...(name !== undefined && { name }),
        port,
        ...(targetPort !== undefined && { targetPort }),
        protocol,
      }))
      .sort((a, b) => a.port - b.port),
  }),
  faults: ({ ports }) => servicePortFaults(ports),
  example: {
    name: 'cart-v1',
    spec: { selector: { [SERVICE_LABEL]: 'cart', version: 'v1' }, ports: [{ port: 80, protocol: 'HTTP' }] },
  },
};

export const workloadDoor: Door<'Workload', WorkloadSpecDto> = {
  kind: 'Workload',
  tag: 'Workloads',
  dto: WorkloadDto,
  spec: ({ address, ports = [], identity, health = 'Healthy' }) => ({
    address,
    ports: portsInOrder(ports),
    ...(identity !== undefined && { identity: identity as SpiffeId }),
    health,
  }),
  faults: (spec, context) => workloadFaults(spec, context),
  example: { name: 'legacy-cart', spec: { address: '127.0.0.1', ports: [{ port: 9009 }], health: 'Healthy' } },
};

const workloadFaults = ({ ports, identity }: Partial<WorkloadSpecDto>, context: Context): Fault[] => [
  ...workloadPortFaults(ports),
  ...identityFaults(identity, context),
];

/** Nobody in this mesh can prove an identity of another trust domain. */
function identityFaults(identity: unknown, { trustDomain }: Context): Fault[] {
  const domain = typeof identity === 'string' ? parseSpiffeId(identity)?.trustDomain : undefined;
  if (domain === undefined || domain === trustDomain) return [];
  return [
    {
      pointer: pointer('spec', 'identity'),
      detail: `the trust domain of this mesh is "${trustDomain}", not "${domain}"`,
    },
  ];
}

@Module({
  imports: [RpcModule, StatusModule, StoreModule, StreamModule, WorldModule],
  controllers: [documentController(serviceDoor), documentController(workloadDoor)],
  providers: [
    {
      provide: Presence,
      inject: [Worlds, Registry, EnrolmentStore, Fleet, Silence, AdsService, LOG],
      useFactory: (
        worlds: Worlds,
        registry: Registry,
        enrolments: EnrolmentStore,
        fleet: Fleet,
        silence: Silence,
        ads: AdsService,
        log: Log,
      ) =>
        new Presence({
          ...{ worlds, registry, enrolments, fleet, silence, ads, log },
          leases: new ProcessLeases().as('this server'),
          onFailure: (err) => log.error({ err }, 'the fleet could not be looked after'),
        }),
    },
    {
      provide: Registration,
      inject: [Worlds, Registry, EnrolmentStore, Presence, AdsService, SERVER_SETTINGS, LOG],
      useFactory: (
        worlds: Worlds,
        registry: Registry,
        enrolments: EnrolmentStore,
        presence: Presence,
        ads: AdsService,
        { xdsListen, workloadNetworks: networks }: Settings,
        log: Log,
      ) =>
        new Registration({
          ...{ worlds, registry, enrolments, presence, ads },
          reach: { onLoopback: isLoopback(xdsListen.host), networks },
          onFailure: (err) => log.error({ err }, 'a report could not be taken in'),
        }),
    },
  ],
})
export class DiscoveryModule implements OnModuleInit, OnApplicationShutdown {
  constructor(
    private readonly registration: Registration,
    private readonly presence: Presence,
    private readonly ports: SidecarPorts,
  ) {}

  onModuleInit(): void {
    this.ports.xds.add(this.registration.reporting, this.registration.leaving);
  }

  async onApplicationShutdown(): Promise<void> {
    await this.presence.close();
  }
}
