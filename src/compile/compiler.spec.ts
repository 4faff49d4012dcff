/** Changes in, publications out: what each change makes again, and in which order things come and go. */
import { describe, expect, it } from 'vitest';
import { changesOf } from '../../test/support/arbitrary-mesh.js';
import {
  TRUST_DOMAIN,
  aPolicy,
  aService,
  aSplit,
  aWorkload,
  anIdentity,
  someSettings,
} from '../../test/support/mesh-documents.js';
import { readable } from '../../test/support/print-snapshot.js';
import { acceptedBy } from '../../test/support/printed-cluster.js';
import { refOf, type Document } from '../model/document.js';
import { emptyMesh, withChanges, type Mesh } from '../model/mesh.js';
import { Compiler, type Publication } from './compiler.js';
import { TYPES, type Resource, type TypeUrl } from './resource.js';

/** A compiler that is shown one change after the other. */
class Subject {
  readonly compiler = new Compiler('sluice', TRUST_DOMAIN);
  private mesh: Mesh = emptyMesh(TRUST_DOMAIN);
  private sequence = 0;

  constructor(...documents: Document[]) {
    this.put(...documents);
  }

  put(...documents: Document[]): string[] {
    return this.change(documents, []);
  }

  remove(...documents: Document[]): string[] {
    return this.change([], documents);
  }

  settle(proven: number): string[] | undefined {
    const publication = this.compiler.settle(() => proven);
    return publication && printed(publication);
  }

  begin(...documents: Document[]): void {
    this.compiler.begin(...this.next(documents, []));
  }

  /** Who may answer for the cluster `cart.shop:80`, and how many are behind it. */
  get cart(): { accepted: string[]; plaintext: boolean; endpoints: number } {
    const { identities, plaintext } = acceptedBy(this.resource(TYPES.cluster));
    const { type, bytes } = this.resource(TYPES.endpoints);
    const { endpoints = [] } = readable({ type_url: type, value: bytes }) as {
      endpoints?: { lb_endpoints: unknown[] }[];
    };
    return { accepted: identities, plaintext, endpoints: endpoints[0]?.lb_endpoints.length ?? 0 };
  }

  private resource(type: TypeUrl): Resource {
    const resource = this.compiler.get(type, 'cart.shop:80');
    if (!resource) throw new Error(`there is no ${type} cart.shop:80`);
    return resource;
  }

  change(put: readonly Document[], remove: readonly Document[]): string[] {
    return printed(this.compiler.update(...this.next(put, remove)));
  }

  private next(put: readonly Document[], remove: readonly Document[]) {
    const changes = changesOf(this.mesh, { put, remove: remove.map(refOf) });
    this.mesh = withChanges(this.mesh, changes);
    this.sequence = Math.max(this.sequence, this.compiler.sequence) + 1;
    return [{ sequence: this.sequence, mesh: this.mesh }, changes] as const;
  }
}

/** What a publication changed, by the last word of the type. */
const printed = ({ changed }: Publication): string[] =>
  [...changed].flatMap(([type, names]) => [...names].map((name) => `${type.split('.').at(-1)} ${name}`)).sort();

describe('a change', () => {
  const cart = [aService('cart'), aWorkload('cart-1', { service: 'cart' })];

  it('of a weight makes one route again', () => {
    const subject = new Subject(...cart, aService('cart-v2'), aSplit('cart', 'cart', { cart: 9, 'cart-v2': 1 }));
    expect(subject.put(aSplit('cart', 'cart', { cart: 1, 'cart-v2': 1 }))).toEqual(['RouteConfiguration cart.shop:80']);
  });

  it('of an endpoint makes the endpoints of its services again', () => {
    const subject = new Subject(...cart, aService('web'));
    expect(subject.put(aWorkload('cart-1', { service: 'cart' }, { health: 'Draining' }))).toEqual([
      'ClusterLoadAssignment cart.shop:80',
    ]);
  });

  it('of a policy makes the listeners of those it protects again', () => {
    const subject = new Subject(...cart, aWorkload('web-1', { service: 'web' }));
    expect(subject.put(aPolicy('cart', { target: { service: 'cart' } }))).toEqual([
      'Listener inbound/shop/cart-1:9000',
    ]);
  });

  it('that changes nothing of what was made publishes nothing', () => {
    const subject = new Subject(...cart, aPolicy('cart', { target: { labels: { app: 'nobody' } } }));
    expect(subject.put(aPolicy('cart', { target: { labels: { app: 'nobody-either' } } }))).toEqual([]);
  });

  it('of a selector closes and opens what belongs to no service, where a policy waits for a service that is missing', () => {
    const subject = new Subject(
      aService('web', { selector: { app: 'web' } }),
      aWorkload('job', { labels: { app: 'job' } }),
      aPolicy('lost', { target: { service: 'missing' }, action: 'Deny' }),
    );
    expect(subject.put(aService('web', { selector: { app: 'job' } }))).toContain('Listener inbound/shop/job:9000');
  });

  it('that takes a service away leaves what stood behind it to the policies that remember it', () => {
    const cart = aService('cart', { selector: { app: 'cart' } });
    const policy = aPolicy('cart', { target: { service: 'cart' } });
    const workload = aWorkload('cart-1', { service: 'other', labels: { app: 'cart' } });
    const subject = new Subject(cart, policy, workload);
    const { compiler } = subject;
    const before = compiler.get(TYPES.listener, 'inbound/shop/cart-1:9000')?.version;
    const remembering = { ...policy, metadata: { ...policy.metadata, protects: { app: 'cart' } } };
    subject.change([remembering], [cart]);
    expect(compiler.get(TYPES.listener, 'inbound/shop/cart-1:9000')?.version).toBe(before);
    expect(compiler.problemsOf(refOf(policy))).toMatchObject([
      {
        reason: 'ServiceNotFound',
        message: expect.stringContaining('that it had when it was deleted') as string,
      },
    ]);
    expect(subject.put(policy)).toEqual(['Listener inbound/shop/cart-1:9000']);
  });

  it('of the settings can be gone through in slices, and is in force whole at the end', () => {
    const subject = new Subject(...cart, aWorkload('cart-2', { service: 'cart' }));
    subject.begin(someSettings({ defaultMode: 'deny' }));
    const { compiler } = subject;
    const before = compiler.get(TYPES.listener, 'inbound/shop/cart-1:9000');
    expect(compiler.step(() => false)).toBeUndefined();
    expect(compiler.get(TYPES.listener, 'inbound/shop/cart-1:9000')).toBe(before);
    expect(compiler.sequence).toBe(1);
    expect(printed(compiler.step(() => true) as Publication)).toEqual([
      'Listener inbound/shop/cart-1:9000',
      'Listener inbound/shop/cart-2:9000',
    ]);
    expect(compiler.sequence).toBe(2);
  });
});

describe('who may answer for a cluster', () => {
  const cart = aService('cart');
  const first = aWorkload('cart-1', { service: 'cart' });
  const second = aWorkload('cart-2', { service: 'cart' });
  const bare = aWorkload('cart-3', { service: 'cart', bare: true });
  const both = [anIdentity('cart-1'), anIdentity('cart-2')];

  it('is more at once, and fewer when every proxy is known to call only those', () => {
    const subject = new Subject(cart, first);
    expect(subject.put(second)).toEqual([
      'Cluster cart.shop:80',
      'ClusterLoadAssignment cart.shop:80',
      'Listener inbound/shop/cart-2:9000',
    ]);
    expect(subject.remove(second)).toEqual(['ClusterLoadAssignment cart.shop:80', 'Listener inbound/shop/cart-2:9000']);
    expect(subject.cart).toEqual({ accepted: both, plaintext: false, endpoints: 1 });
    const went = subject.compiler.sequence;
    expect(subject.settle(went - 1)).toBeUndefined();
    expect(subject.settle(went)).toEqual(['Cluster cart.shop:80']);
    expect(subject.compiler.sequence).toBe(went + 1);
    expect(subject.cart).toEqual({ accepted: [anIdentity('cart-1')], plaintext: false, endpoints: 1 });
    expect(subject.settle(went + 1)).toBeUndefined();
  });

  it('lingers over other changes of the cluster', () => {
    const subject = new Subject(cart, first, second);
    subject.remove(second);
    const went = subject.compiler.sequence;
    subject.put(aService('cart', { ports: [{ port: 80, protocol: 'HTTP2' }] }));
    expect(subject.cart.accepted).toEqual(both);
    subject.remove(first);
    expect(subject.settle(went)).toEqual(['Cluster cart.shop:80']);
    expect(subject.cart).toEqual({ accepted: [anIdentity('cart-1')], plaintext: false, endpoints: 0 });
  });

  it('stays, whoever comes back before that is known', () => {
    const subject = new Subject(cart, first, second);
    subject.remove(second);
    subject.put(second);
    expect(subject.settle(Infinity)).toBeUndefined();
    expect(subject.cart).toEqual({ accepted: both, plaintext: false, endpoints: 2 });
  });

  it('lingers where a service comes back before its proxies know that it was gone', () => {
    const subject = new Subject(cart, first, second);
    subject.remove(cart, second);
    subject.put(cart);
    expect(subject.cart.accepted).toEqual(both);
  });

  it('is somebody for each endpoint: one with an identity takes none away that has none', () => {
    const subject = new Subject(cart, bare);
    expect(subject.cart).toEqual({ accepted: [], plaintext: true, endpoints: 1 });
    subject.put(first);
    expect(subject.cart).toEqual({ accepted: [anIdentity('cart-1')], plaintext: true, endpoints: 2 });
  });

  it('is nobody in plaintext any more only when nobody calls in plaintext', () => {
    const subject = new Subject(cart, first, bare);
    subject.remove(bare);
    expect(subject.cart).toEqual({ accepted: [anIdentity('cart-1')], plaintext: true, endpoints: 1 });
    expect(subject.settle(subject.compiler.sequence)).toEqual(['Cluster cart.shop:80']);
    expect(subject.cart).toEqual({ accepted: [anIdentity('cart-1')], plaintext: false, endpoints: 1 });
  });
});

describe('a compiler that failed', () => {
  it('forgets no name that it had in force and has not any more', () => {
    const ports = [80, 81].map((port) => ({ port, protocol: 'HTTP' as const }));
    const subject = new Subject(aService('cart', { ports }), aService('web'));
    const impossible = { ...aService('web'), spec: { ports: null } } as unknown as Document;
    expect(() => subject.put(aService('cart'), impossible)).toThrow();
    expect(subject.put(aService('web'))).toEqual([
      'Cluster cart.shop:81',
      'ClusterLoadAssignment cart.shop:81',
      'Listener cart.shop:81',
      'RouteConfiguration cart.shop:81',
    ]);
  });

  it('takes away what went with the change that it failed on', () => {
    const cart = [aService('cart'), aWorkload('cart-1', { service: 'cart' })];
    const subject = new Subject(...cart, aService('web'));
    const impossible = { ...aService('web'), spec: { ports: null } } as unknown as Document;
    expect(() => subject.change([impossible], cart)).toThrow();
    expect(subject.put(aService('web'))).toEqual([
      'Cluster cart.shop:80',
      'ClusterLoadAssignment cart.shop:80',
      'Listener cart.shop:80',
      expect.stringMatching(/^Listener inbound\/shop\/cart-1/),
      'RouteConfiguration cart.shop:80',
    ]);
  });

  it('has in force what it had, and begins anew with the next mesh', () => {
    const documents = [aService('cart'), aWorkload('cart-1', { service: 'cart' })];
    const subject = new Subject(...documents);
    const { compiler } = subject;
    const before = compiler.get(TYPES.endpoints, 'cart.shop:80');
    const impossible = { ...aService('cart'), spec: { ports: null } } as unknown as Document;
    expect(() => subject.put(impossible)).toThrow();
    expect(compiler.get(TYPES.endpoints, 'cart.shop:80')).toBe(before);
    expect(compiler.sequence).toBe(1);
    expect(subject.put(aService('cart'))).toEqual([]);
    expect(subject.remove(...documents)).toHaveLength(5);
  });
});
