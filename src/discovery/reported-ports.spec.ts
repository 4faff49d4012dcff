/** What a report comes to as the ports of a workload, and what is refused. */
import { describe, expect, it } from 'vitest';
import { sluice } from '../proto/messages.js';
import { portsOf } from './reported-ports.js';

const report = (fields: sluice.v1.IReportRequest) => portsOf(new sluice.v1.ReportRequest(fields));

describe('a report', () => {
  it.each<[string, sluice.v1.IReportRequest, object[]]>([
    ['without ports is of one that only calls', {}, []],
    ['of an earlier sidecar has one port', { port: 41_001 }, [{ port: 41_001 }]],
    [
      'says ports in whatever order',
      { ports: [{ port: 9_102 }, { name: 'http', port: 9_001, sidecar_port: 41_001 }] },
      [{ name: 'http', port: 9_001, sidecarPort: 41_001 }, { port: 9_102 }],
    ],
    ['need not say where a port is reached', { ports: [{ port: 80, sidecar_port: 80 }] }, [{ port: 80 }]],
  ])('%s', (_, fields, ports) => expect(report(fields)).toEqual(ports));

  it.each<[string, sluice.v1.IReportRequest, string]>([
    ['says both port and ports', { port: 1, ports: [{ port: 2 }] }, 'either port or ports'],
    ['says a port past the last', { port: 70_000 }, 'from 1 to 65535'],
    ['says no number', { ports: [{ name: 'http' }] }, 'from 1 to 65535'],
    ['is reached past the last', { ports: [{ port: 1, sidecar_port: 65_536 }] }, 'from 1 to 65535'],
    ['says too many', { ports: Array.from({ length: 17 }, (_, at) => ({ port: at + 1 })) }, 'at most 16'],
    ['calls a port what none is called', { ports: [{ name: 'HTTP', port: 1 }] }, 'the name of a port'],
    ['says a port twice', { ports: [{ port: 1 }, { port: 1, sidecar_port: 2 }] }, 'said twice'],
    [
      'says a name twice',
      {
        ports: [
          { name: 'a', port: 1 },
          { name: 'a', port: 2 },
        ],
      },
      'one name',
    ],
    ['is reached for two ports at one', { ports: [{ port: 1, sidecar_port: 2 }, { port: 2 }] }, 'reached at one'],
  ])('is refused that %s', (_, fields, fault) => {
    expect(report(fields)).toEqual({ fault: expect.stringContaining(fault) as string });
  });
});
