/** Discovery: which services there are, which workloads stand behind them, and how those come and go. */
import { Module } from '@nestjs/common';
import { documentController } from '../api/document.controller.js';
import type { Context, Door } from '../api/document-door.js';
import { pointer, type Fault } from '../model/fault.js';
import { SERVICE_LABEL, parseSpiffeId, type SpiffeId } from '../model/names.js';
import { ServiceDto, type ServiceSpecDto } from './service.dto.js';
import { WorkloadDto, type WorkloadSpecDto } from './workload.dto.js';

export const serviceDoor: Door<'Service', ServiceSpecDto> = {
  kind: 'Service',
  tag: 'Services',
  noun: 'service',
  dto: ServiceDto,
  spec: ({ selector, ports }) => ({
    ...(selector && { selector }),
    ports: ports.map(({ port, protocol = 'HTTP' }) => ({ port, protocol })).sort((a, b) => a.port - b.port),
  }),
  example: {
    name: 'cart-v1',
    spec: { selector: { [SERVICE_LABEL]: 'cart', version: 'v1' }, ports: [{ port: 80, protocol: 'HTTP' }] },
  },
};

export const workloadDoor: Door<'Workload', WorkloadSpecDto> = {
  kind: 'Workload',
  tag: 'Workloads',
  noun: 'workload',
  dto: WorkloadDto,
  spec: ({ address, port, identity, health = 'Healthy' }) => ({
    address,
    ...(port !== undefined && { port }),
    ...(identity !== undefined && { identity: identity as SpiffeId }),
    health,
  }),
  faults: workloadFaults,
  example: { name: 'legacy-cart', spec: { address: '127.0.0.1', port: 9009, health: 'Healthy' } },
};

/** Nobody in this mesh can prove an identity of another trust domain. */
function workloadFaults({ identity }: Partial<WorkloadSpecDto>, { trustDomain }: Context): Fault[] {
  const domain = typeof identity === 'string' ? parseSpiffeId(identity)?.trustDomain : undefined;
  if (domain === undefined || domain === trustDomain) return [];
  return [
    {
      pointer: pointer('spec', 'identity'),
      detail: `the trust domain of this mesh is "${trustDomain}", not "${domain}"`,
    },
  ];
}

@Module({ controllers: [documentController(serviceDoor), documentController(workloadDoor)] })
export class DiscoveryModule {}
