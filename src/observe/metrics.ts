/** The server's own metrics, in the conventions of Prometheus. What can be looked up is looked up when it is asked for. */
import { Injectable, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import type { FastifyInstance } from 'fastify';
import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client';
import { Fleet } from '../status/fleet.js';
import { PROXY_STATES, type Proxy } from '../status/proxy.js';
import { Receipts } from '../status/receipts.js';
import { Silence } from '../status/silence.js';
import { Database } from '../store/database.js';
import { SqlRevisionLog } from '../store/revision-log.js';
import { Engine } from '../stream/engine.js';
import { Worlds } from '../world/fold.js';

/** From what a look into memory takes to what a caller that waits for proxies may, in seconds. */
const LATENCY_BUCKETS = [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60, 600];

@Injectable()
export class Metrics implements OnModuleInit, OnApplicationShutdown {
  private readonly registry = new Registry();
  private readonly ends: (() => void)[] = [];

  constructor(
    private readonly worlds: Worlds,
    private readonly engine: Engine,
    private readonly fleet: Fleet,
    private readonly receipts: Receipts,
    private readonly silence: Silence,
    private readonly log: SqlRevisionLog,
    private readonly database: Database,
  ) {}

  /** All of them, in the text format of Prometheus. */
  print(): Promise<string> {
    return this.registry.metrics();
  }

  get contentType(): string {
    return this.registry.contentType;
  }

  /** Measures what `server` answers. Routes are told by their patterns: the names in a path are without number. */
  measure(server: FastifyInstance): void {
    const durations = new Histogram({
      name: 'sluice_http_request_duration_seconds',
      help: 'How long requests to the REST API took, with what they waited for.',
      labelNames: ['method', 'route', 'status'],
      buckets: LATENCY_BUCKETS,
      registers: [this.registry],
    });
    server.addHook('onResponse', async ({ method, routeOptions }, { statusCode, elapsedTime }) => {
      durations.observe({ method, route: routeOptions.url ?? 'none', status: statusCode }, elapsedTime / 1_000);
    });
  }

  onModuleInit(): void {
    // Memory, processor, garbage collection and the delay of the event loop, by the names that they have everywhere.
    collectDefaultMetrics({ register: this.registry });
    const commits = this.counter('sluice_commits_total', 'Revisions committed since the server started.');
    const publications = this.counter('sluice_publications_total', 'Times that sidecars were told something new.');
    this.ends.push(
      this.worlds.onStep(({ revisions }) => commits.inc(revisions.length)),
      this.engine.onPublished(() => publications.inc()),
    );
    this.gauge('sluice_revision', 'The newest revision of the mesh.', () => this.worlds.current.revision);
    this.gauge('sluice_revision_oldest', 'The oldest revision that is kept.', () => this.log.floor);
    this.gauge('sluice_database_bytes', 'How large the database is.', () => this.database.size?.total);
    this.gauge(
      'sluice_database_free_bytes',
      'How much of the database is free for what is written next.',
      () => this.database.size?.free,
    );
    this.gauge(
      'sluice_sequence',
      'The number of the state of the world, wishes and facts, since the start.',
      () => this.worlds.current.sequence,
    );
    this.gauge('sluice_receipts_waiting', 'Callers that wait for proxies.', () => this.receipts.callers);
    this.gauge('sluice_refused_resources', 'Resources that proxies refuse and do without.', () =>
      this.proxies.reduce((sum, { client }) => sum + (client?.refusals.length ?? 0), 0),
    );
    this.proxiesByState();
    this.silentWorkloads();
  }

  onApplicationShutdown(): void {
    for (const end of this.ends) end();
    this.registry.clear();
  }

  private proxiesByState(): void {
    const proxies = (): readonly Proxy[] => this.proxies;
    new Gauge({
      name: 'sluice_proxies',
      help: 'Proxies that there are or ought to be; those that are connected have a stream.',
      labelNames: ['state'],
      registers: [this.registry],
      collect() {
        for (const state of PROXY_STATES)
          this.set({ state }, proxies().filter((proxy) => proxy.state === state).length);
      },
    });
  }

  private silentWorkloads(): void {
    const { silence } = this;
    new Gauge({
      name: 'sluice_silent_workloads',
      help: 'Workloads whose sidecars are lost: expired, which get no calls for it, and spared, which are called all the same.',
      labelNames: ['outcome'],
      registers: [this.registry],
      collect() {
        this.set({ outcome: 'expired' }, silence.expired.size);
        this.set({ outcome: 'spared' }, silence.spared.size);
      },
    });
  }

  private get proxies(): readonly Proxy[] {
    return this.fleet.proxies();
  }

  private counter(name: string, help: string): Counter {
    return new Counter({ name, help, registers: [this.registry] });
  }

  /** Without a value while there is none to be had. */
  private gauge(name: string, help: string, now: () => number | undefined): void {
    new Gauge({
      name,
      help,
      registers: [this.registry],
      collect() {
        const value = now();
        if (value === undefined) this.reset();
        else this.set(value);
      },
    });
  }
}
