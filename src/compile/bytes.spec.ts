/** Ports for bytes: what guards them, where their connections go, and what turns one kind of port into the other. */
import { describe, expect, it } from 'vitest';
import { TRUST_DOMAIN, aPolicy, aService, aSplit, aWorkload, someSettings } from '../../test/support/mesh-documents.js';
import { readable } from '../../test/support/print-snapshot.js';
import type { Action, Operation } from '../model/authorization-policy.js';
import { refOf, type Document } from '../model/document.js';
import { meshOf } from '../model/mesh.js';
import { SERVICE_LABEL } from '../model/names.js';
import { compile } from './compile.js';
import { Compiler } from './compiler.js';
import { TYPES, type TypeUrl } from './resource.js';

const ANY = [{ any: true }];
const db = aService('db', { ports: [{ port: 5432, protocol: 'TCP' }] });
const db1 = aWorkload('db-1', { service: 'db' }, { ports: [{ port: 5432 }] });

/** A compiled resource, readable. Tests look into it freely. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any
function compiled(type: TypeUrl, name: string, ...documents: Document[]): any {
  const resource = compile(meshOf(TRUST_DOMAIN, documents)).resources.get(type)?.get(name);
  return resource && readable({ type_url: type, value: resource.bytes });
}

interface Filter {
  readonly name: string;
  readonly typed_config: {
    readonly rules?: { readonly policies?: Readonly<Record<string, { readonly permissions: unknown }>> };
  };
}

const DOOR = 'inbound/shop/db-1:5432';

describe('the door of a port for bytes', () => {
  const filters = (...documents: Document[]): Filter[] =>
    compiled(TYPES.listener, DOOR, db, db1, ...documents).filter_chains[0].filters as Filter[];
  const names = (...documents: Document[]) => filters(...documents).map(({ name }) => name);
  const policy = (name: string, action: Action, ...to: (Operation[] | undefined)[]) =>
    aPolicy(name, { action, rules: to.map((one) => ({ from: [{ namespace: 'shop' }], ...(one && { to: one }) })) });
  /** What its rules permit, by name. */
  const permissions = (...documents: Document[]) =>
    Object.fromEntries(
      filters(...documents).flatMap(({ typed_config: { rules } }) =>
        Object.entries(rules?.policies ?? {}).map(([name, { permissions }]) => [name, permissions]),
      ),
    );

  it('judges who connects, and hands over', () => {
    expect(names()).toEqual(['envoy.filters.network.rbac.allow', 'envoy.filters.network.tcp_proxy']);
    expect(names(policy('d', 'Deny', undefined))).toEqual([
      'envoy.filters.network.rbac.deny',
      'envoy.filters.network.rbac.allow',
      'envoy.filters.network.tcp_proxy',
    ]);
    expect(filters().at(-1)?.typed_config).toMatchObject({ cluster: DOOR, idle_timeout: { seconds: 3_600 } });
  });

  it('allows nothing by what asks of requests, and says which policy closes it', () => {
    const allow = policy('a', 'Allow', [{ methods: ['GET'] }, { ports: [5432] }], [{ paths: ['/x'] }], undefined);
    expect(permissions(allow)).toEqual({ 'shop/a/0': ANY, 'shop/a/2': ANY });
    expect(permissions(policy('a', 'Allow', [{ paths: ['/x'] }]))).toEqual({
      'shop/a/0': [{ not_rule: { any: true } }],
    });
  });

  it('denies whatever else a Deny says, of those ports that it speaks of', () => {
    const deny = policy('d', 'Deny', [{ methods: ['GET'], ports: [5432] }], [{ paths: ['/x'], ports: [1] }]);
    expect(permissions(deny)).toMatchObject({ 'shop/d/0': ANY });
    expect(permissions(deny)).not.toHaveProperty('shop/d/1');
  });

  it('listens to plaintext only where a rule could let it pass that asks of no request', () => {
    const open = (to?: Operation[]) =>
      aPolicy('open', { rules: [{ from: [{ anyone: 'Everyone' }], ...(to && { to }) }] });
    const chains = (...documents: Document[]) =>
      (compiled(TYPES.listener, DOOR, db, db1, ...documents).filter_chains as unknown[]).length;
    expect(chains(open())).toBe(2);
    expect(chains(open([{ paths: ['/x'] }]))).toBe(1);
    expect(chains(someSettings({ defaultMode: 'all-unauthenticated' }))).toBe(2);
  });

  it('is one of requests where any service calls it so', () => {
    const web = aService('web', {
      selector: { [SERVICE_LABEL]: 'db' },
      ports: [{ port: 80, targetPort: 5432, protocol: 'HTTP' }],
    });
    expect(names(web)).toEqual(['envoy.filters.network.http_connection_manager']);
  });
});

describe('the way to a port for bytes', () => {
  const way = (...documents: Document[]) => compiled(TYPES.listener, 'db.shop:5432', db, db1, ...documents);
  const proxy = (...documents: Document[]) => way(...documents).filter_chains[0].filters[0].typed_config as unknown;

  it('is a listener without an address that names its cluster, and no route table', () => {
    expect(way()).toMatchObject({ internal_listener: {}, traffic_direction: 'OUTBOUND' });
    expect(way()).not.toHaveProperty('address');
    expect(way().filter_chains[0].name).toBe('Service shop/db');
    expect(proxy()).toMatchObject({ cluster: 'db.shop:5432', idle_timeout: { seconds: 3_600 } });
    expect(compiled(TYPES.route, 'db.shop:5432', db, db1)).toBeUndefined();
  });

  it('shares connections by the weights of a split, without those that weigh nothing', () => {
    const other = aService('db-2', { ports: [{ port: 5432, protocol: 'TCP' }] });
    const clusters = [
      { name: 'db.shop:5432', weight: 9 },
      { name: 'db-2.shop:5432', weight: 1 },
    ];
    const split = aSplit('s', 'db', { db: 9, 'db-2': 1, 'db-3': 0 });
    expect(way(split, other).filter_chains[0].name).toBe('TrafficSplit shop/s');
    expect(proxy(split, other)).toMatchObject({ weighted_clusters: { clusters } });
    expect(proxy(aSplit('s', 'db', { db: 0, 'db-2': 3 }), other)).toMatchObject({ cluster: 'db-2.shop:5432' });
  });

  it('reads whom TLS of the programs is for, and only there', () => {
    expect(way()).not.toHaveProperty('listener_filters');
    const vault = aService('vault', { ports: [{ port: 443, protocol: 'TLS' }] });
    const { listener_filters } = compiled(TYPES.listener, 'vault.shop:443', vault);
    expect(listener_filters).toMatchObject([{ name: 'envoy.filters.listener.tls_inspector' }]);
  });

  it('closes where nothing weighs anything', () => {
    const [filter] = way(aSplit('s', 'db', { db: 0 })).filter_chains[0].filters as Filter[];
    expect(filter?.name).toBe('envoy.filters.network.direct_response');
  });

  it('leads to a cluster that speaks no HTTP, and to those who are not called for requests', () => {
    const cluster = compiled(TYPES.cluster, 'db.shop:5432', db, db1);
    expect(cluster).not.toHaveProperty('typed_extension_protocol_options');
    expect(cluster).toHaveProperty('transport_socket');
    const web = aService('web', {
      selector: { [SERVICE_LABEL]: 'db', tier: 'web' },
      ports: [{ port: 80, targetPort: 5432, protocol: 'HTTP' }],
    });
    const both = aWorkload('db-2', { labels: { [SERVICE_LABEL]: 'db', tier: 'web' } }, { ports: [{ port: 5432 }] });
    const places = (name: string) =>
      (compiled(TYPES.endpoints, name, db, db1, web, both).endpoints[0].lb_endpoints as unknown[]).length;
    expect([places('db.shop:5432'), places('web.shop:80')]).toEqual([1, 1]);
  });
});

it('turns one kind of port into the other, and takes away what the one had and the other has not', () => {
  const compiler = new Compiler('sluice', TRUST_DOMAIN);
  const http = aService('db', { ports: [{ port: 5432, protocol: 'HTTP' }] });
  const mesh = (service: Document) => meshOf(TRUST_DOMAIN, [service, db1]);
  compiler.update(
    { sequence: 1, mesh: mesh(http) },
    [http, db1].map((document) => ({ ref: refOf(document) })),
  );
  const names = (): unknown[] => [
    compiler.get(TYPES.route, 'db.shop:5432')?.name,
    compiler.get(TYPES.listener, DOOR)?.version,
  ];
  const before = names();
  compiler.update({ sequence: 2, mesh: mesh(db) }, [{ ref: refOf(db) }]);
  expect(names()[0]).toBeUndefined();
  expect(names()[1]).not.toBe(before[1]);
  compiler.update({ sequence: 3, mesh: mesh(http) }, [{ ref: refOf(http) }]);
  expect(names()).toEqual(before);
});
