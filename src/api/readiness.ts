/** Whether the server is of use to anybody: each thing that it takes, and what is wrong with it. */
import { Injectable } from '@nestjs/common';
import { HealthIndicatorService, type HealthIndicatorFunction } from '@nestjs/terminus';
import { SidecarPorts } from '../rpc/ports.js';
import { Database } from '../store/database.js';
import { Silence } from '../status/silence.js';
import { Engine } from '../stream/engine.js';
import { OpenRequests } from './open-requests.js';

@Injectable()
export class Readiness {
  constructor(
    private readonly indicators: HealthIndicatorService,
    private readonly database: Database,
    private readonly engine: Engine,
    private readonly ports: SidecarPorts,
    private readonly requests: OpenRequests,
    private readonly silence: Silence,
  ) {}

  get checks(): readonly HealthIndicatorFunction[] {
    return [
      this.check('server', () => (this.requests.draining ? 'it is stopping' : undefined)),
      this.check('database', () => this.database.fault()),
      this.check('mesh', () => this.engine.fault),
      this.check('ports', () => (this.ports.isOpen ? undefined : 'the ports of the sidecars are closed')),
    ];
  }

  /** What keeps the server from no use, and whoever watches it should know. Nobody proves who asks: no names. */
  get warnings(): readonly string[] {
    const { size } = this.silence.spared;
    if (size === 0) return [];
    const workloads = size === 1 ? '1 workload is' : `${size} workloads are`;
    return [
      `${workloads} called although nothing is heard of the sidecars: so many at once, or all of a service, are silent`,
    ];
  }

  /** An indicator that is up unless `fault` says what is wrong. */
  private check(name: string, fault: () => string | undefined | Promise<string | undefined>): HealthIndicatorFunction {
    return async () => {
      const indicator = this.indicators.check(name);
      const wrong = await fault();
      return wrong === undefined ? indicator.up() : indicator.down({ fault: wrong });
    };
  }
}
