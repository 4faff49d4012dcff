/** What is said of objects that do nothing, or not what they seem to: each row a mesh, and the problems of one object. */
import { describe, expect, it } from 'vitest';
import { TRUST_DOMAIN, aPolicy, aService, aSplit, aWorkload, anIdentity } from '../../test/support/mesh-documents.js';
import { refOf, type Document } from '../model/document.js';
import { meshOf } from '../model/mesh.js';
import { SERVICE_LABEL } from '../model/names.js';
import type { TrafficSplit } from '../model/traffic-split.js';
import { Compiler } from './compiler.js';

/** The problems of `document` in a mesh of that and `others`, in few words. */
function problems(document: Document, ...others: Document[]): string[] {
  const compiler = new Compiler('sluice', TRUST_DOMAIN);
  compiler.rebuild({ sequence: 1, mesh: meshOf(TRUST_DOMAIN, [document, ...others]) });
  return compiler
    .problemsOf(refOf(document))
    .map(({ condition, reason, effect }) => `${condition} ${reason}: ${effect}`);
}

const cart = aService('cart');
const guarded = aWorkload('cart-1', { service: 'cart' });
const bare = aWorkload('cart-1', { service: 'cart', bare: true });
const db = aService('db', { ports: [{ port: 5432, protocol: 'TCP' }] });
const dbWorkload = aWorkload('db-1', { service: 'db' }, { ports: [{ port: 5432 }] });
const forDb = { target: { service: 'db' } } as const;
const from = (...sources: object[]) => ({ rules: [{ from: sources as { identity: string }[] }] });

describe('a policy', () => {
  const forCart = { target: { service: 'cart' } } as const;
  it.each<[string, Document, Document[], string[]]>([
    ['has its effect where a sidecar enforces it', aPolicy('p', forCart), [cart, guarded], []],
    ['has none where no sidecar could enforce it', aPolicy('p', forCart), [cart, bare], ['Programmed NoSidecar: None']],
    [
      'has none where an identity was written by hand and no sidecar proves it',
      aPolicy('p', forCart),
      [cart, { ...guarded, metadata: { ...guarded.metadata, origin: 'rest' } }],
      ['Programmed NoSidecar: None'],
    ],
    [
      'has a part of it where some of what it protects has no sidecar',
      aPolicy('p', forCart),
      [cart, guarded, aWorkload('cart-2', { service: 'cart', bare: true })],
      ['Programmed NoSidecar: Partial'],
    ],
    [
      'has none for a service that nothing stands behind',
      aPolicy('p', forCart),
      [cart],
      ['Programmed NoMatchingWorkload: None'],
    ],
    [
      'has none for labels that no workload bears',
      aPolicy('p', { target: { labels: { app: 'crat' } } }),
      [cart, guarded],
      ['Programmed NoMatchingWorkload: None'],
    ],
    [
      'has none for a workload that only calls',
      aPolicy('p', { target: { labels: { app: 'job' } } }),
      [
        {
          ...aWorkload('job', { labels: { app: 'job' } }),
          spec: { address: '127.0.0.1', ports: [], health: 'Healthy' },
        },
      ],
      ['Programmed NoMatchingWorkload: None'],
    ],
    [
      'protects others than it says while its service is missing',
      aPolicy('p', forCart),
      [guarded],
      ['ResolvedRefs ServiceNotFound: Partial'],
    ],
    [
      'is warned of when it names an identity that nobody has',
      aPolicy('p', { ...forCart, ...from({ identity: anIdentity('wbe') }) }),
      [cart, guarded],
      ['ResolvedRefs CallerNotFound: Full'],
    ],
    [
      'is warned of when it names a namespace that nobody is in',
      aPolicy('p', { ...forCart, ...from({ namespace: 'fornt' }) }),
      [cart, guarded],
      ['ResolvedRefs CallerNotFound: Full'],
    ],
    [
      'may name by a pattern whoever is there',
      aPolicy('p', { ...forCart, ...from({ identity: `spiffe://${TRUST_DOMAIN}/ns/shop/*` }, { namespace: 'shop' }) }),
      [cart, guarded],
      [],
    ],
    [
      'has part of its effect when it speaks of a port that nobody has',
      aPolicy('p', { ...forCart, rules: [{ from: [{ anyone: 'Everyone' }], to: [{ ports: [9000, 9102] }] }] }),
      [cart, guarded],
      ['ResolvedRefs PortNotFound: Partial'],
    ],
    [
      'has none when it denies at ports that nobody has, and nowhere else',
      aPolicy('p', { ...forCart, action: 'Deny', rules: [{ from: [{ anyone: 'Everyone' }], to: [{ ports: [80] }] }] }),
      [cart, guarded],
      ['ResolvedRefs PortNotFound: None'],
    ],
    [
      'closes what it protects when it allows at ports that nobody has',
      aPolicy('p', { ...forCart, rules: [{ from: [{ anyone: 'Everyone' }], to: [{ ports: [80] }] }] }),
      [cart, guarded],
      ['ResolvedRefs PortNotFound: Partial'],
    ],
    [
      'may speak of a port that one of many has',
      aPolicy('p', { ...forCart, rules: [{ from: [{ anyone: 'Everyone' }], to: [{ ports: [9102] }] }] }),
      [cart, guarded, aWorkload('cart-2', { service: 'cart' }, { ports: [{ port: 9102 }] })],
      [],
    ],
    [
      'allows less than it says where bytes pass at a port of whose paths it speaks',
      aPolicy('p', { ...forDb, rules: [{ from: [{ anyone: 'Authenticated' }], to: [{ paths: ['/x'] }] }] }),
      [db, dbWorkload],
      ['Programmed PortCarriesBytes: Partial'],
    ],
    [
      'denies more than it says where bytes pass at a port of whose methods it speaks',
      aPolicy('p', {
        ...forDb,
        action: 'Deny',
        rules: [{ from: [{ anyone: 'Everyone' }], to: [{ methods: ['GET'], ports: [5432] }] }],
      }),
      [db, dbWorkload],
      ['Programmed PortCarriesBytes: Partial'],
    ],
    [
      'may speak of the paths of another port than that at which bytes pass',
      aPolicy('p', {
        ...forDb,
        rules: [{ from: [{ anyone: 'Authenticated' }], to: [{ paths: ['/x'], ports: [9000] }, { ports: [5432] }] }],
      }),
      [db, aWorkload('db-1', { service: 'db' }, { ports: [{ port: 5432 }, { port: 9000 }] })],
      [],
    ],
  ])('%s', (_, policy, others, expected) => expect(problems(policy, ...others)).toEqual(expected));

  it('says which rules of it are not held as they are written, where, and what that comes to', () => {
    const compiler = new Compiler('sluice', TRUST_DOMAIN);
    const policy = aPolicy('p', {
      ...forDb,
      rules: [
        { from: [{ anyone: 'Authenticated' }] },
        { from: [{ anyone: 'Authenticated' }], to: [{ methods: ['GET'] }] },
      ],
    });
    compiler.rebuild({ sequence: 1, mesh: meshOf(TRUST_DOMAIN, [policy, db, dbWorkload]) });
    expect(compiler.problemsOf(refOf(policy))).toMatchObject([
      {
        message: 'rule 1 (counted from 0) of methods or paths, and bytes pass at port 5432: that allows nothing there',
      },
    ]);
  });

  it('says whom it names and nobody is', () => {
    const compiler = new Compiler('sluice', TRUST_DOMAIN);
    const policy = aPolicy('p', from({ namespace: 'fornt' }, { identity: anIdentity('wbe') }));
    compiler.rebuild({ sequence: 1, mesh: meshOf(TRUST_DOMAIN, [policy, cart, guarded]) });
    expect(compiler.problemsOf(refOf(policy))).toMatchObject([
      { message: `no workload of the mesh is in namespace "fornt" or ${anIdentity('wbe')}` },
    ]);
  });
});

describe('a service', () => {
  const port = { port: 80, protocol: 'HTTP' } as const;
  const selector = { [SERVICE_LABEL]: 'db' };
  const several = aWorkload('cart-1', { service: 'cart' }, { ports: [{ port: 9001 }, { name: 'admin', port: 9102 }] });
  it.each<[string, Document, Document[], string[]]>([
    [
      'has its effect before anybody stands behind it',
      aService('cart', { ports: [{ ...port, targetPort: 1 }] }),
      [],
      [],
    ],
    ['finds the only port of a workload', cart, [guarded], []],
    ['finds a port by its name', aService('cart', { ports: [{ ...port, targetPort: 'admin' }] }), [several], []],
    [
      'may be meant for some of those behind it',
      aService('cart', { ports: [{ ...port, targetPort: 9000 }] }),
      [several, aWorkload('cart-2', { service: 'cart' })],
      [],
    ],
    [
      'has part of it where of some workloads it is not said which port is meant',
      cart,
      [several, aWorkload('cart-2', { service: 'cart' })],
      ['ResolvedRefs TargetPortNotFound: Partial'],
    ],
    ['has none where it is not said which port is meant', cart, [several], ['ResolvedRefs TargetPortNotFound: None']],
    [
      'has part of it where one of its ports leads nowhere',
      aService('cart', {
        ports: [
          { ...port, targetPort: 'http' },
          { ...port, port: 9102 },
        ],
      }),
      [several],
      ['ResolvedRefs TargetPortNotFound: Partial'],
    ],
    ['is for bytes where nobody else calls its workloads there', db, [dbWorkload], []],
    [
      'is for bytes beside one of the same kind',
      db,
      [dbWorkload, aService('tls', { selector, ports: [{ port: 443, targetPort: 5432, protocol: 'TLS' }] })],
      [],
    ],
    [
      'has none for bytes where another calls its workloads for requests',
      db,
      [dbWorkload, aService('web', { selector, ports: [{ port: 80, targetPort: 5432, protocol: 'HTTP' }] })],
      ['ResolvedRefs ProtocolConflict: None'],
    ],
    [
      'has all of it for requests, whatever others say',
      aService('web', { selector, ports: [{ port: 80, targetPort: 5432, protocol: 'HTTP' }] }),
      [dbWorkload, db],
      [],
    ],
    [
      'has part of it where it is called itself for requests and for bytes',
      aService('db', {
        ports: [
          { port: 80, targetPort: 5432, protocol: 'HTTP' },
          { port: 5432, protocol: 'TCP' },
        ],
      }),
      [dbWorkload],
      ['ResolvedRefs ProtocolConflict: Partial'],
    ],
  ])('%s', (_, service, others, expected) => expect(problems(service, ...others)).toEqual(expected));
});

describe('a split', () => {
  const createdIn = (revision: number, split: TrafficSplit): TrafficSplit => ({
    ...split,
    metadata: { ...split.metadata, createdIn: revision },
  });
  const older = aSplit('a', 'cart', { cart: 1 });
  it.each<[string, Document, Document[], string[]]>([
    ['has its effect where all that it names is there', older, [cart], []],
    ['has none beside an older one', aSplit('b', 'cart', { cart: 1 }, 1), [older, cart], ['Accepted Conflicted: None']],
    [
      'has none beside that of an earlier revision, whatever the clock said then',
      createdIn(8, aSplit('a', 'cart', { cart: 1 }, 1)),
      [createdIn(7, aSplit('b', 'cart', { cart: 1 }, 2)), cart],
      ['Accepted Conflicted: None'],
    ],
    [
      'has none beside one that was there before revisions were noted',
      createdIn(1, aSplit('a', 'cart', { cart: 1 }, 1)),
      [aSplit('b', 'cart', { cart: 1 }, 2), cart],
      ['Accepted Conflicted: None'],
    ],
    ['has none without its service', older, [], ['ResolvedRefs ServiceNotFound: None']],
    [
      'has part of it where a backend is missing',
      aSplit('a', 'cart', { cart: 1, gone: 1 }),
      [cart],
      ['ResolvedRefs BackendNotFound: Partial'],
    ],
    [
      'has part of it where a backend lacks a port',
      aSplit('a', 'cart', { cart: 1, other: 1 }),
      [cart, aService('other', { ports: [{ port: 81, protocol: 'HTTP' }] })],
      ['ResolvedRefs BackendPortNotFound: Partial'],
    ],
    [
      'has part of it where a backend is for bytes and the service is not',
      aSplit('a', 'cart', { cart: 1, other: 1 }),
      [cart, aService('other', { ports: [{ port: 80, protocol: 'TCP' }] })],
      ['ResolvedRefs BackendProtocolDiffers: Partial'],
    ],
  ])('%s', (_, split, others, expected) => expect(problems(split, ...others)).toEqual(expected));
});
