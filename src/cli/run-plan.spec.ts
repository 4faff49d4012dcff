import { describe, expect, it } from 'vitest';
import { planRun, type RunOptions, type RunPlan, type RunRequest } from './run-plan.js';

const request = (
  options: Partial<RunOptions>,
  command: readonly string[] = ['node', 'cart.js'],
  env: Readonly<Record<string, string>> = {},
): RunRequest => ({
  options: { namespace: 'shop', ...options },
  command,
  settings: { url: new URL('https://mesh.example:9443'), trustAnchors: '/srv/anchors.pem', home: '/srv/sluice' },
  env,
  hostname: 'node-7',
});

function planOf(given: RunRequest): RunPlan {
  const plan = planRun(given);
  if ('stateDir' in plan) return plan;
  throw new Error(plan.join('; '));
}

describe('the plan of a run', () => {
  it('takes everything from the service, and names the replica by host and port', () => {
    expect(planOf(request({ service: 'cart', port: [{ port: 9001 }], label: { version: 'v1' } }))).toEqual({
      namespace: 'shop',
      request: { name: 'cart-e6b25', service: 'cart', serviceAccount: 'cart', labels: { version: 'v1' } },
      stateDir: '/srv/sluice/workloads/shop/cart-e6b25',
      joinTokenFile: '/srv/sluice/workloads/shop/cart-e6b25/join-token',
      environment: {
        SLUICE_STATE_DIR: '/srv/sluice/workloads/shop/cart-e6b25',
        SLUICE_TRUST_ANCHORS: '/srv/anchors.pem',
        SLUICE_XDS_ADDR: 'mesh.example:8444',
        SLUICE_JOIN_ADDR: 'mesh.example:8445',
        SLUICE_APP_PORT: '9001',
      },
      args: ['--', 'node', 'cart.js'],
    });
  });

  it.each<[sentence: string, options: Partial<RunOptions>, command: string[], name: RegExp, account: string]>([
    ['a service names the workload', { service: 'cart' }, ['node'], /^cart-[0-9a-f]{5}$/, 'cart'],
    ['a name is taken as it is', { name: 'cart-v1', service: 'cart' }, ['node'], /^cart-v1$/, 'cart'],
    ['a caller is named for its program', {}, ['/srv/bin/Nightly_Job.py'], /^nightly-job-[0-9a-f]{5}$/, 'nightly-job'],
    ['a named caller is that account too', { name: 'job' }, ['node'], /^job$/, 'job'],
    ['an account is taken as it is', { service: 'cart', serviceAccount: 'till' }, ['node'], /^cart-/, 'till'],
    ['a long service leaves room', { service: 'c'.repeat(63) }, ['node'], /^c{57}-[0-9a-f]{5}$/, 'c'.repeat(63)],
  ])('%s', (_, options, command, name, account) => {
    const { request: join } = planOf(request(options, command));
    expect(join?.name).toMatch(name);
    expect(join?.serviceAccount).toBe(account);
  });

  it('gives replicas different names, and the same replica always the same', () => {
    const named = (port: number) => planOf(request({ service: 'cart', port: [{ port }] })).request?.name;
    expect(named(9001)).not.toBe(named(9002));
    expect(named(9001)).toBe(named(9001));
  });

  it('tells the sidecar of every port, and names the replica by the first', () => {
    const port = [{ name: 'http', port: 9001 }, { port: 9102 }];
    const { environment, request: join } = planOf(request({ service: 'cart', port }));
    expect(environment).toMatchObject({ SLUICE_APP_PORT: 'http=9001,9102' });
    expect(join?.name).toBe(planOf(request({ service: 'cart', port: [{ port: 9001 }] })).request?.name);
  });

  it('hands over the environment of the caller without anything of the client, above all no token', () => {
    const env = {
      PATH: '/bin',
      HTTP_PROXY: 'http://elsewhere',
      SLUICE_TOKEN: 'secret',
      SLUICE_TOKEN_FILE: '/secret',
      SLUICE_URL: 'https://mesh.example:9443',
      SLUICE_HOME: '/srv/sluice',
      SLUICE_DATA_DIR: '/srv/data',
      SLUICE_WORKLOAD: 'shop/outer',
      SLUICE_LOG: 'debug',
      SLUICE_MAX_RULES: '5',
      SLUICE_APP_PORT: '1',
    };
    const { environment } = planOf(
      request({ service: 'cart', xds: 'a:1', join: 'b:2' }, [], without(env, 'SLUICE_APP_PORT')),
    );
    expect(environment).toEqual({
      PATH: '/bin',
      HTTP_PROXY: 'http://elsewhere',
      SLUICE_LOG: 'debug',
      SLUICE_MAX_RULES: '5',
      SLUICE_STATE_DIR: expect.stringMatching(/^\/srv\/sluice\/workloads\/shop\/cart-/) as string,
      SLUICE_TRUST_ANCHORS: '/srv/anchors.pem',
      SLUICE_XDS_ADDR: 'a:1',
      SLUICE_JOIN_ADDR: 'b:2',
    });
  });

  it('keeps what Kubernetes says of a Service called sluice from the sidecar', () => {
    const links = {
      SLUICE_PORT: 'tcp://10.0.0.1:80',
      SLUICE_SERVICE_HOST: '10.0.0.1',
      SLUICE_PORT_80_TCP_ADDR: '10.0.0.1',
    };
    const { environment } = planOf(request({ service: 'cart' }, ['node'], links));
    expect(Object.keys(environment)).not.toEqual(expect.arrayContaining(['SLUICE_PORT']));
  });

  it('takes a token that was brought along, and asks for none', () => {
    const plan = planOf(request({ name: 'cart-v1', joinTokenFile: '/run/token' }));
    expect(plan.request).toBeUndefined();
    expect(plan.joinTokenFile).toBe('/run/token');
  });

  it.each<[sentence: string, given: RunRequest, fault: RegExp]>([
    ['a misspelt variable', request({}, ['node'], { SLUICE_DRAIN_TIMOUT: '1s' }), /no variable SLUICE_DRAIN_TIMOUT/],
    ['what flags say', request({}, ['node'], { SLUICE_APP_PORT: '1' }), /no variable SLUICE_APP_PORT/],
    ['nobody to be', request({}, []), /give --service, or --name/],
    ['two who say who it is', request({ name: 'a', joinTokenFile: 't', service: 'b' }), /--service was said when/],
    ['a token without a place', request({ joinTokenFile: 't' }), /needs --name/],
  ])('refuses %s', (_, given, fault) => {
    const plan = planRun(given);
    expect('stateDir' in plan ? [] : plan).toEqual([expect.stringMatching(fault)]);
  });
});

const without = (env: Record<string, string>, name: string): Record<string, string> =>
  Object.fromEntries(Object.entries(env).filter(([other]) => other !== name));
