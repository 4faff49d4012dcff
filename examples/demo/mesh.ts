/** What the demo asks of the mesh, as documents. */
import { SERVICE_LABEL } from '../../src/model/names.ts';
import type { Written } from '../../test/support/rest-client.ts';

const PORTS = [{ port: 80 }];

const service = (name: string, selector?: Readonly<Record<string, string>>): Written => ({
  kind: 'Service',
  metadata: { name, namespace: 'shop' },
  spec: { ports: PORTS, ...(selector && { selector }) },
});

/** The names that programs call: the shop's two, and each version of the cart by itself. */
export const SERVICES: readonly Written[] = [
  service('web'),
  service('cart'),
  service('cart-v1', { [SERVICE_LABEL]: 'cart', version: 'v1' }),
  service('cart-v2', { [SERVICE_LABEL]: 'cart', version: 'v2' }),
];

/** How the calls to `cart` are shared between its versions. */
export const split = (v1: number, v2: number): Written => ({
  kind: 'TrafficSplit',
  metadata: { name: 'cart', namespace: 'shop' },
  spec: {
    service: 'cart',
    backends: [
      { service: 'cart-v1', weight: v1 },
      { service: 'cart-v2', weight: v2 },
    ],
  },
});

/** Only `web` may call `cart`, and only on `paths`. */
export const onlyWeb = (...paths: readonly string[]): Written => ({
  kind: 'AuthorizationPolicy',
  metadata: { name: 'cart-from-web', namespace: 'shop' },
  spec: {
    target: { service: 'cart' },
    action: 'Allow',
    rules: [{ from: [{ identity: 'spiffe://sluice.local/ns/shop/sa/web' }], to: [{ methods: ['GET'], paths }] }],
  },
});
