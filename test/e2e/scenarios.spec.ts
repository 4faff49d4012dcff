/** The scenarios once more, with real processes: what the evaluator says of a call is what comes of it. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseSpiffeId, SERVICE_LABEL } from '../../src/model/names.js';
import { directly, throughTunnel } from '../support/bytes-call.js';
import { callDirectly, doorsOf, type Credentials } from '../support/direct-call.js';
import { JoinedClient } from '../support/grpc-client.js';
import { call, type Answer } from '../support/http-call.js';
import { RunningProcess, freePort, until } from '../support/processes.js';
import type { Written as Document } from '../support/rest-client.js';
import { scenarios, type Call, type Written } from '../support/scenarios.js';
import { startSluice, type Sluice } from '../support/sluice.js';
import type { Workload } from '../support/workload.js';

const ECHO = new URL('../support/echo.mjs', import.meta.url).pathname;

/** A scenario brought to life. */
class Stage {
  readonly sidecars = new Map<string, Workload>();
  private readonly programs: RunningProcess[] = [];
  /** For each port that a program of the scenario listens on, the free one where it really does. */
  private readonly real = new Map<number, number>();
  /** The ports of each workload, as the scenario has them. */
  private readonly ports = new Map<string, readonly Port[]>();
  private readonly credentials = new Map<string, Credentials>();

  constructor(readonly sluice: Sluice) {}

  /** Everything but workloads is written; workloads that prove an identity and are well are run, each beside a sidecar. */
  async set(documents: readonly Written[]): Promise<void> {
    const workloads = documents.filter(({ kind }) => kind === 'Workload');
    for (const port of new Set(workloads.flatMap(portsOf).map(({ port }) => port)))
      this.real.set(port, await freePort());
    for (const document of documents.filter(({ kind }) => kind !== 'Workload'))
      await this.write(this.realised(document));
    const runs = (workload: Written) => workload.spec['identity'] !== undefined && isWell(workload);
    await Promise.all(workloads.map((workload) => (runs(workload) ? this.run(workload) : this.stand(workload))));
    await this.sluice.rest.converged();
  }

  private async write(document: Written): Promise<void> {
    const { status, body } = await this.sluice.rest.put(document as unknown as Document);
    expect(status, JSON.stringify(body)).toBeLessThan(300);
  }

  /** A service or a policy that speaks of workload ports, in the numbers that they really have. */
  private realised({ spec, ...document }: Written): Written {
    const { ports, rules } = spec as { ports?: Target[]; rules?: { to?: { ports?: number[] }[] }[] };
    const ofService = ports?.map(({ targetPort, ...port }) => ({
      ...port,
      ...(targetPort !== undefined && { targetPort: this.realOf(targetPort) }),
    }));
    const ofPolicy = rules?.map(({ to, ...rule }) => ({
      ...rule,
      ...(to && { to: to.map((one) => ({ ...one, ...(one.ports && { ports: one.ports.map(this.realOf) }) })) }),
    }));
    return { ...document, spec: { ...spec, ...(ports && { ports: ofService }), ...(rules && { rules: ofPolicy }) } };
  }

  /** Names stay as they are, and so do numbers that no program of the scenario listens on. */
  private readonly realOf = <Target extends number | string>(port: Target) =>
    (this.real.get(Number(port)) as Target | undefined) ?? port;

  private async run(document: Written): Promise<void> {
    const { metadata, spec } = document;
    const { name, namespace = '', labels = {} } = metadata;
    const written = portsOf(document);
    this.ports.set(`${namespace}/${name}`, written);
    const { [SERVICE_LABEL]: service, ...others } = labels;
    const serviceAccount = parseSpiffeId(String(spec['identity']))?.account ?? '';
    const options = {
      ...{ namespace, serviceAccount, labels: others, onlyCalls: written.length === 0 },
      ports: written.map((port) => ({ ...port, port: this.realOf(port.port) })),
      ...(service !== undefined && { service }),
    };
    this.sidecars.set(`${namespace}/${name}`, await this.sluice.workload(name, options));
  }

  /** A program without a sidecar; one that is not well is only written down, and nobody may call it. */
  private async stand(document: Written): Promise<void> {
    const { name, namespace = '' } = document.metadata;
    const [port] = portsOf(document).map((one) => this.realOf(one.port));
    if (isWell(document)) {
      const env = { PATH: process.env['PATH'], SLUICE_WORKLOAD: `${namespace}/${name}` };
      const program = new RunningProcess(name, [process.execPath, ECHO, String(port)], { env });
      this.programs.push(program);
      await program.until('it answers', async () => (await call(`http://127.0.0.1:${port}/`)).status === 200);
    }
    await this.write({ ...document, spec: { ...document.spec, ports: [{ port }] } });
  }

  /** What one request of a row comes to; undefined when nobody takes it, or nobody answers. */
  async play({
    from,
    to,
    method = 'GET',
    path = '/',
  }: Call): Promise<Pick<Answer, 'status' | 'headers' | 'json'> | undefined> {
    try {
      if (to.startsWith('tcp://')) {
        await using connection = await throughTunnel(this.sidecar(from).addresses.outbound, to.slice('tcp://'.length));
        return { status: connection.status, headers: {}, json: connection.status === 200 && (await connection.who()) };
      }
      if (to.startsWith('tcp:')) {
        await using connection = await directly(this.door(to.slice('tcp:'.length)));
        return { status: 200, headers: {}, json: await connection.who() };
      }
      if (from === 'outside') return await call(`http://${this.door(to)}${path}`, { method });
      if (to.startsWith('http://')) return await this.sidecar(from).call(`${to}${path}`, { method });
      return await callDirectly(this.door(to), await this.credentialsOf(from), { method, path });
    } catch {
      return undefined;
    }
  }

  sidecar(id: string): Workload {
    const sidecar = this.sidecars.get(id);
    if (!sidecar) throw new Error(`no sidecar ${id}`);
    return sidecar;
  }

  /** Where `namespace/name`, or `namespace/name:port`, is called directly. */
  private door(to: string): string {
    const [id = '', port] = to.split(':');
    const { inbound, doors } = this.sidecar(id).addresses;
    return (port === undefined ? inbound : doors[String(this.realOf(Number(port)))]) ?? '';
  }

  /** Whom an answer comes from: `namespace/name`, with `:port` if it has several. */
  reached({ json: { workload, port } }: Pick<Answer, 'json'>): string {
    const [written] = [...this.real].find(([, real]) => real === port) ?? [];
    return (this.ports.get(workload as string)?.length ?? 0) > 1 ? `${workload}:${written}` : (workload as string);
  }

  /** A certificate of the identity that a workload has. */
  private async credentialsOf(id: string): Promise<Credentials> {
    const known = this.credentials.get(id);
    if (known) return known;
    const [namespace = '', name = ''] = id.split('/');
    const doors = doorsOf(this.sluice);
    const { identity } = (await this.sluice.rest.get(`/v1/proxies/${id}`)).body as { identity: string };
    const serviceAccount = parseSpiffeId(identity)?.account;
    const client = await JoinedClient.join(doors, namespace, { name: `${name}-by-hand`, serviceAccount });
    client.close();
    const credentials = { certificate: client.certificate, key: client.key, trustAnchors: doors.trustAnchors };
    this.credentials.set(id, credentials);
    return credentials;
  }

  /** How often any sidecar has decided, or would have by its audited policies, by `labels`. */
  async decisions(metric: string, labels: Readonly<Record<string, string>>): Promise<number> {
    const counts = await Promise.all([...this.sidecars.values()].map((sidecar) => sidecar.metric(metric, labels)));
    return counts.reduce((sum, count) => sum + count, 0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.programs.map((program) => program.stop()));
    await this.sluice[Symbol.asyncDispose]();
  }
}

describe.each(scenarios())('$name', ({ documents, calls }) => {
  let stage: Stage;
  beforeAll(async () => {
    stage = new Stage(await startSluice());
    await stage.set(documents);
  }, 60_000);
  afterAll(() => stage[Symbol.asyncDispose]());

  it.each(calls)('$it', async (row) => {
    const { times = 1, from, expect: expected } = row;
    const { reaches = {}, answers = {}, rule, closedBy, audit } = expected;
    const counts = () =>
      Promise.all([
        rule === undefined ? 0 : stage.decisions('sluice_inbound_decisions_total', { rule }),
        audit === undefined ? 0 : stage.decisions('sluice_inbound_audit_total', { decision: AUDITS[audit] }),
        stage.decisions('sluice_inbound_refused_connections_total', { reason: 'plaintext' }),
      ]);
    const before = await counts();
    const got = { reaches: {} as Record<string, number>, answers: {} as Record<string, number>, unanswered: 0 };
    for (let turn = 0; turn < times; turn += 1) {
      const answer = await stage.play(row);
      if (!answer) got.unanswered += 1;
      else if (answer.status === 200) add(got.reaches, stage.reached(answer));
      else {
        add(got.answers, String(answer.status));
        // Only a caller that proves an identity is told why.
        if (answer.status === 403 && from !== 'outside') {
          expect(answer.headers['content-type']).toContain('application/problem+json');
          expect(answer.json.verdict).toEqual({ decision: 'deny', rule: rule ?? null, closedBy: closedBy ?? [] });
        }
      }
    }
    expect(got).toEqual({
      reaches,
      answers: strings(answers),
      unanswered: expected.connection === undefined ? 0 : times,
    });
    await until('every decision is counted', async () => {
      const [decided, audited, plaintext] = (await counts()).map((count, index) => count - (before[index] ?? 0));
      if (rule !== undefined && decided !== times) throw new Error(`${decided} decisions by ${rule}`);
      if (audit !== undefined && audited !== times) throw new Error(`${audited} audits ${audit}`);
      return expected.connection !== 'refused' || plaintext === times;
    });
  });
});

interface Target {
  readonly targetPort?: number | string;
}

interface Port {
  readonly name?: string;
  readonly port: number;
}

const isWell = ({ spec }: Written): boolean => (spec['health'] ?? 'Healthy') === 'Healthy';

const portsOf = ({ spec }: Written): readonly Port[] => (spec['ports'] ?? []) as readonly Port[];

const AUDITS = { allowed: 'allow', denied: 'deny' } as const;

const add = (counts: Record<string, number>, key: string): void => {
  counts[key] = (counts[key] ?? 0) + 1;
};

const strings = (counts: Readonly<Record<string, number>>): Record<string, number> =>
  Object.fromEntries(Object.entries(counts).map(([key, count]) => [String(key), count]));
