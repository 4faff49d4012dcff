/** What holds of the compiler after any edits: it is where it would be had it been shown the mesh from nothing. */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { anyEdit, anyMesh, changesOf, type Edit } from '../../test/support/arbitrary-mesh.js';
import { acceptedBy } from '../../test/support/printed-cluster.js';
import { printRef, refOf, type Document } from '../model/document.js';
import { documentsOf, meshOf, withChanges, type Mesh } from '../model/mesh.js';
import { isBytes, standsBehind, targetAt } from '../model/service.js';
import type { Workload, WorkloadPort, WorkloadSpec } from '../model/workload.js';
import { compile, snapshotOf, type Snapshot } from './compile.js';
import { Compiler, type Publication } from './compiler.js';
import { serviceName } from './resource-names.js';
import { TYPES, TYPE_ORDER } from './resource.js';

/** How many edits are tried, on average and of each sort of mesh; `SLUICE_EDITS=10000` tries more. */
const EDITS = Number(process.env['SLUICE_EDITS'] ?? 2_000);
const AT_ONCE = 20;

const edits = fc.array(fc.record({ change: anyEdit, slices: fc.boolean() }), { minLength: 1, maxLength: AT_ONCE });
const runs = { numRuns: Math.ceil((2 * EDITS) / AT_ONCE) };

/** A compiler, and the mesh that it was shown last. */
class Subject {
  readonly compiler: Compiler;
  sequence = 1;

  constructor(public mesh: Mesh) {
    this.compiler = new Compiler('sluice', mesh.trustDomain);
    this.compiler.rebuild({ sequence: 1, mesh });
  }

  edit(edit: Edit, slices = false) {
    const changes = changesOf(this.mesh, edit);
    this.mesh = withChanges(this.mesh, changes);
    this.sequence += 1;
    const world = { sequence: this.sequence, mesh: this.mesh };
    if (!slices) return this.compiler.update(world, changes);
    this.compiler.begin(world, changes);
    const before = plain(snapshotOf(this.compiler));
    for (;;) {
      expect(plain(snapshotOf(this.compiler))).toEqual(before);
      const publication = this.compiler.step(() => false);
      if (publication) return publication;
    }
  }
}

describe('a compiler', () => {
  it.each([
    { where: 'in any mesh', placed: (document: Document) => document },
    { where: 'in a mesh where everybody is in the way of everybody', placed: crowded },
  ])('is after every edit where a full build would be, $where: bytes, causes and problems', ({ placed }) => {
    fc.assert(
      fc.property(anyMesh, edits, (first, steps) => {
        const subject = new Subject(meshOf(first.trustDomain, [...documentsOf(first)].map(placed)));
        for (const { change, slices } of steps) {
          subject.edit({ put: change.put.map(placed), remove: change.remove }, slices);
          subject.compiler.settle(() => Infinity);
          expect(plain(snapshotOf(subject.compiler))).toEqual(plain(compile(subject.mesh)));
        }
      }),
      runs,
    );
  });

  it('publishes the names that changed and no others, and knows since when each is as it is', () => {
    fc.assert(
      fc.property(anyMesh, edits, (first, steps) => {
        const subject = new Subject(first);
        for (const { change } of steps) {
          const before = versions(subject.compiler);
          const publication = subject.edit(change);
          const after = versions(subject.compiler);
          const changed = [...new Set([...before.keys(), ...after.keys()])].filter(
            (name) => before.get(name) !== after.get(name),
          );
          expect(namesOf(publication)).toEqual(changed.sort());
          for (const name of changed)
            if (after.has(name)) expect(sinceOf(subject.compiler, name)).toBe(publication.sequence);
        }
      }),
    );
  });

  it('accepts whom a proxy may be calling still, and whom it is told to call now', () => {
    fc.assert(
      fc.property(anyMesh, edits, (first, steps) => {
        const subject = new Subject(first);
        for (const { change } of steps) {
          const before = called(subject.mesh);
          const { sequence } = subject.edit(change);
          for (const [cluster, workloads] of [...before, ...called(subject.mesh)]) {
            const resource = subject.compiler.get(TYPES.cluster, cluster);
            if (!resource) continue;
            const { identities, plaintext } = acceptedBy(resource);
            for (const { spec } of workloads)
              if (spec.identity === undefined) expect(plaintext).toBe(true);
              else expect(identities).toContain(spec.identity);
          }
          // All proxies have proven the state before.
          subject.compiler.settle(() => sequence - 1);
        }
      }),
    );
  });

  it('finds by an object what has it among its causes', () => {
    fc.assert(
      fc.property(anyMesh, (mesh) => {
        const { compiler } = new Subject(mesh);
        for (const document of documentsOf(mesh)) {
          const ref = refOf(document);
          const caused = [...snapshotOf(compiler).resources.values()]
            .flatMap((resources) => [...resources.values()])
            .filter(({ causes }) => causes.some((cause) => printRef(cause) === printRef(ref)));
          const found = compiler.resourcesOf(ref).map(({ type, name }) => `${type} ${name}`);
          expect(found.sort()).toEqual(caused.map(({ type, name }) => `${type} ${name}`).sort());
        }
      }),
    );
  });
});

/** Who is called by the name of each cluster. */
const called = (mesh: Mesh): (readonly [string, Workload[]])[] =>
  [...mesh.Service.values()].flatMap((service) => {
    const behind = [...mesh.Workload.values()].filter((workload) => standsBehind(workload, service));
    return service.spec.ports.map((port) => {
      const workloads = behind.filter((workload) => {
        const target = targetAt(port, workload);
        return target && !(isBytes(port.protocol) && takesRequests(mesh, workload, target));
      });
      return [serviceName(service.metadata, port.port), workloads] as const;
    });
  });

/** Whether some service calls `port` for requests, so that none is called there for bytes. */
const takesRequests = (mesh: Mesh, workload: Workload, { port }: WorkloadPort): boolean =>
  [...mesh.Service.values()].some(
    (service) =>
      standsBehind(workload, service) &&
      service.spec.ports.some((own) => !isBytes(own.protocol) && targetAt(own, workload)?.port === port),
  );

/** All in one namespace, and every workload guarded by a sidecar. */
function crowded({ kind, metadata, spec }: Document): Document {
  if (kind === 'MeshSettings') return { kind, metadata, spec };
  const guarded = { identity: `spiffe://sluice.local/ns/shop/sa/${metadata.name}` };
  return {
    kind,
    metadata: { ...metadata, namespace: 'shop' },
    spec: kind === 'Workload' ? { ...guarded, ...withPorts(spec as WorkloadSpec) } : spec,
  };
}

const withPorts = (spec: WorkloadSpec): WorkloadSpec =>
  spec.ports.length > 0 ? spec : { ...spec, ports: [{ port: 9000 }] };

const plain = ({ resources, problems }: Snapshot) => ({
  resources: [...resources.values()].flatMap((all) =>
    [...all.values()].map(({ type, name, version, bytes, entry, causes }) =>
      [type, name, version, base64(bytes), base64(entry), ...causes.map(printRef)].join(' '),
    ),
  ),
  problems,
});

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');

const versions = (compiler: Compiler): Map<string, string | undefined> =>
  new Map(
    TYPE_ORDER.flatMap((type) =>
      [...compiler.names(type)].map((name) => [`${type} ${name}`, compiler.get(type, name)?.version] as const),
    ),
  );

const namesOf = ({ changed }: Publication): string[] =>
  [...changed].flatMap(([type, names]) => [...names].map((name) => `${type} ${name}`)).sort();

const sinceOf = (compiler: Compiler, printed: string): number | undefined => {
  const type = TYPE_ORDER.find((url) => printed.startsWith(`${url} `));
  return type && compiler.get(type, printed.slice(type.length + 1))?.since;
};
