/** Traffic: how the calls to a service are shared between versions. */
import { Module } from '@nestjs/common';
import { documentController } from '../api/document.controller.js';
import type { Door } from '../api/document-door.js';
import { TrafficSplitDto, type TrafficSplitSpecDto } from './traffic-split.dto.js';
import { splitFaults } from './traffic-split.faults.js';

export const trafficSplitDoor: Door<'TrafficSplit', TrafficSplitSpecDto> = {
  kind: 'TrafficSplit',
  tag: 'Traffic splits',
  dto: TrafficSplitDto,
  spec: ({ service, backends }) => ({
    service,
    backends: backends.map((backend) => ({ service: backend.service, weight: backend.weight })),
  }),
  faults: splitFaults,
  example: {
    name: 'cart',
    spec: {
      service: 'cart',
      backends: [
        { service: 'cart-v1', weight: 90 },
        { service: 'cart-v2', weight: 10 },
      ],
    },
  },
};

@Module({ controllers: [documentController(trafficSplitDoor)] })
export class TrafficModule {}
