/** What is only rehearsed leaves no trace, whatever it is and wherever it is interrupted, and tells what would then really be. */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { anyEdit, anyMesh, changesOf, type Edit } from '../../test/support/arbitrary-mesh.js';
import { keyOf, printRef, refOf } from '../model/document.js';
import { documentsOf, withChanges, type Mesh } from '../model/mesh.js';
import { snapshotOf } from './compile.js';
import { Compiler } from './compiler.js';
import type { Rehearsed } from './rehearsal.js';

const runs = { numRuns: Math.ceil(Number(process.env['SLUICE_EDITS'] ?? 2_000) / 10) };

/** What is tried, and what is then done instead; how many pieces are made at a time; up to where all proxies have come since. */
const steps = fc.array(
  fc.record({
    tried: anyEdit,
    done: anyEdit,
    same: fc.boolean(),
    pieces: fc.integer({ min: 1, max: 5 }),
    behind: fc.nat(3),
  }),
  { minLength: 1, maxLength: 10 },
);

class Subject {
  private sequence = 1;
  readonly compiler: Compiler;

  constructor(public mesh: Mesh) {
    this.compiler = new Compiler('sluice', mesh.trustDomain);
    this.compiler.rebuild({ sequence: 1, mesh });
  }

  update(edit: Edit, behind: number) {
    const changes = changesOf(this.mesh, edit);
    this.mesh = withChanges(this.mesh, changes);
    this.sequence += 1;
    const publication = this.compiler.update({ sequence: this.sequence, mesh: this.mesh }, changes);
    return [publication, this.compiler.settle(() => publication.sequence - behind)];
  }

  /** @param look is called whenever it is interrupted */
  rehearse(edit: Edit, pieces: number, look: () => void = () => undefined): Rehearsed {
    const go = this.compiler.rehearse(changesOf(this.mesh, edit));
    for (;;) {
      look();
      let left = pieces;
      const outcome = go(() => (left -= 1) > 0);
      if (outcome) return outcome;
    }
  }

  /** All that anybody can see of the compiler. */
  get seen() {
    const { compiler, mesh } = this;
    const { resources, problems } = snapshotOf(compiler);
    return {
      resources: [...resources].map(([type, all]) => [
        type,
        [...all.values()].map(({ name, version, entry, since, causes }) => [
          name,
          version,
          Buffer.from(entry).toString('base64'),
          since,
          causes.map(printRef),
        ]),
      ]),
      problems,
      caused: [...documentsOf(mesh)].map((document) => [
        keyOf(document.metadata),
        compiler
          .resourcesOf(refOf(document))
          .map(({ name }) => name)
          .sort(),
      ]),
      sequence: compiler.sequence,
    };
  }
}

describe('a rehearsal', () => {
  it('changes nothing that is seen meanwhile, nor anything that comes after, byte for byte', () => {
    fc.assert(
      fc.property(anyMesh, steps, (mesh, some) => {
        const [one, other] = [new Subject(mesh), new Subject(mesh)];
        for (const { tried, done, same, pieces, behind } of some) {
          const before = one.seen;
          one.rehearse(tried, pieces, () => expect(one.seen).toEqual(before));
          expect(one.seen).toEqual(before);
          const edit = same ? tried : done;
          expect(one.update(edit, behind)).toEqual(other.update(edit, behind));
          expect(one.seen).toEqual(other.seen);
        }
      }),
      runs,
    );
  });

  it('tells the resources and the problems that then really become different', () => {
    fc.assert(
      fc.property(anyMesh, steps, (mesh, some) => {
        const subject = new Subject(mesh);
        for (const { tried, pieces, behind } of some) {
          const told = subject.rehearse(tried, pieces);
          const { compiler } = subject;
          const had = new Set(told.resources.filter(({ type, name }) => compiler.get(type, name)).map(printed));
          const problems = problemsOf(compiler);
          const [publication] = subject.update(tried, behind);
          const changed = [...(publication?.changed ?? [])].flatMap(([type, names]) =>
            [...names].map((name) => ({ type, name })),
          );
          expect(told.resources.map(printed).sort()).toEqual(changed.map(printed).sort());
          for (const { how, ...resource } of told.resources) {
            const has = compiler.get(resource.type, resource.name) !== undefined;
            expect(how).toBe(has ? (had.has(printed(resource)) ? 'changed' : 'added') : 'removed');
          }
          const after = problemsOf(compiler);
          const touched = [...new Set([...problems.keys(), ...after.keys()])].filter(
            (object) => JSON.stringify(problems.get(object)) !== JSON.stringify(after.get(object)),
          );
          expect(told.objects.map(({ ref }) => printRef(ref)).sort()).toEqual(touched.sort());
          for (const { ref, ...said } of told.objects) {
            const object = printRef(ref);
            expect(said).toEqual({ before: problems.get(object) ?? [], after: after.get(object) ?? [] });
          }
        }
      }),
      runs,
    );
  });

  it('keeps a pass from beginning until it is over, and is none while one is under way', () => {
    const subject = new Subject([...fc.sample(anyMesh, { numRuns: 1, seed: 7 })][0] as Mesh);
    const world = { sequence: 2, mesh: subject.mesh };
    const go = subject.compiler.rehearse([]);
    expect(() => subject.compiler.begin(world, [])).toThrow('not over');
    go(() => true);
    subject.compiler.begin(world, []);
    expect(() => subject.compiler.rehearse([])).toThrow('nothing to rehearse on');
  });
});

const printed = ({ type, name }: { readonly type: string; readonly name: string }): string => `${type} ${name}`;

const problemsOf = (compiler: Compiler) => Map.groupBy(compiler.allProblems(), ({ ref }) => printRef(ref));
