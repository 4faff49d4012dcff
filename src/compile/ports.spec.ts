/** Several ports: where the calls to each port of a service go, and what guards each port of a workload. */
import { describe, expect, it } from 'vitest';
import { TRUST_DOMAIN, aPolicy, aService, aWorkload } from '../../test/support/mesh-documents.js';
import { readable } from '../../test/support/print-snapshot.js';
import type { Action, Operation } from '../model/authorization-policy.js';
import type { Document } from '../model/document.js';
import { meshOf } from '../model/mesh.js';
import { compile } from './compile.js';
import { TYPES, type TypeUrl } from './resource.js';

const HTTP = { name: 'http', port: 9001, sidecarPort: 41_001 };
const ADMIN = { name: 'admin', port: 9102, sidecarPort: 41_002 };
const cart = aWorkload('cart-1', { service: 'cart' }, { ports: [HTTP, ADMIN] });
const port = { port: 80, protocol: 'HTTP' } as const;

/** A compiled resource, readable. Tests look into it freely. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any
function compiled(type: TypeUrl, name: string, ...documents: Document[]): any {
  const resource = compile(meshOf(TRUST_DOMAIN, documents)).resources.get(type)?.get(name);
  return resource && readable({ type_url: type, value: resource.bytes });
}

describe('the endpoints of a port of a service', () => {
  it.each<[string, number | string | undefined, number[]]>([
    ['are where its target is reached, by name', 'admin', [41_002, 9_300]],
    ['are where its target is reached, by number', 9001, [41_001]],
    ['are nobody of whom it is not known which port is meant', undefined, [9_300]],
    ['are nobody where nobody has it', 'metrics', []],
  ])('%s', (_, targetPort, expected) => {
    const service = aService('cart', { ports: [{ ...port, ...(targetPort !== undefined && { targetPort }) }] });
    const other = aWorkload('cart-2', { service: 'cart' }, { ports: [{ name: 'admin', port: 9300 }] });
    const { endpoints = [] } = compiled(TYPES.endpoints, 'cart.shop:80', service, cart, other);
    const places = endpoints.flatMap(({ lb_endpoints }: { lb_endpoints: { endpoint: { address: Address } }[] }) =>
      lb_endpoints.map(({ endpoint }) => endpoint.address.socket_address.port_value),
    );
    expect(places).toEqual(expected);
  });

  it('are called in HTTP/2 where gRPC is spoken', () => {
    const of = (protocol: 'HTTP2' | 'GRPC') =>
      compiled(TYPES.cluster, 'cart.shop:80', aService('cart', { ports: [{ ...port, protocol }] }), cart);
    expect(of('GRPC')).toEqual(of('HTTP2'));
  });
});

interface Address {
  readonly socket_address: { readonly port_value: number };
}

/** The rules of the listener of a port, by action: what they permit. */
function guardOf(number: number, ...documents: Document[]): Record<string, Record<string, unknown>> {
  const listener = compiled(TYPES.listener, `inbound/shop/cart-1:${number}`, cart, ...documents);
  const filters = listener.filter_chains[0].filters[0].typed_config.http_filters as { typed_config: Rbac }[];
  const guards = filters.flatMap(({ typed_config: { rules } }) => (rules ? [rules] : []));
  return Object.fromEntries(
    guards.map(({ action = 'ALLOW', policies }) => [
      action,
      Object.fromEntries(Object.entries(policies ?? {}).map(([name, { permissions }]) => [name, permissions])),
    ]),
  );
}

interface Rbac {
  readonly rules?: {
    readonly action?: string;
    readonly policies?: Readonly<Record<string, { readonly permissions: unknown }>>;
  };
}

describe('a listener of a workload', () => {
  const ANY = [{ any: true }];
  const NEVER = [{ not_rule: { any: true } }];
  const GET = [{ header: { name: ':method', string_match: { exact: 'GET' } } }];
  const policy = (name: string, action: Action, ...to: (Operation[] | undefined)[]) =>
    aPolicy(name, { action, rules: to.map((one) => ({ from: [{ namespace: 'shop' }], ...(one && { to: one }) })) });

  it('is there for each port, and stands where that is reached', () => {
    for (const { port: number, sidecarPort } of [HTTP, ADMIN]) {
      const { name, address } = compiled(TYPES.listener, `inbound/shop/cart-1:${number}`, cart);
      expect(name).toBe(`inbound/shop/cart-1:${number}`);
      expect(address.socket_address.port_value).toBe(sidecarPort);
    }
  });

  it('has the rules that speak of its port, as far as they do', () => {
    const allow = policy('a', 'Allow', [{ ports: [9001] }], [{ methods: ['GET'] }, { ports: [9001] }], undefined);
    expect(guardOf(9001, allow)).toEqual({
      ALLOW: { 'shop/a/0': ANY, 'shop/a/1': [...GET, ...ANY], 'shop/a/2': ANY },
    });
    expect(guardOf(9102, allow)).toEqual({ ALLOW: { 'shop/a/1': GET, 'shop/a/2': ANY } });
  });

  it('is closed by an Allow that speaks of other ports alone, and says by which', () => {
    expect(guardOf(9102, policy('a', 'Allow', [{ ports: [9001] }]))).toEqual({ ALLOW: { 'shop/a/0': NEVER } });
  });

  it('is as it would be without a Deny that speaks of other ports alone', () => {
    const deny = policy('d', 'Deny', [{ ports: [9102] }]);
    expect(guardOf(9102, deny)).toMatchObject({ DENY: { 'shop/d/0': ANY } });
    expect(guardOf(9001, deny)).toEqual(guardOf(9001));
  });

  it('listens to plaintext, and reads paths, only where a rule of its port asks for it', () => {
    const open = aPolicy('open', {
      rules: [{ from: [{ anyone: 'Everyone' }], to: [{ paths: ['/metrics'], ports: [9102] }] }],
    });
    const chains = (number: number) =>
      compiled(TYPES.listener, `inbound/shop/cart-1:${number}`, cart, open).filter_chains;
    const normalises = (number: number) => chains(number)[0].filters[0].typed_config.normalize_path !== undefined;
    expect([9001, 9102].map((number) => chains(number).length)).toEqual([1, 2]);
    expect([9001, 9102].map(normalises)).toEqual([false, true]);
  });
});
