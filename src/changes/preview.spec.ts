/** A preview is what then is: on the engine and before a fleet, whatever the mesh and whatever else is going on. */
import * as fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { anyEdit, type Edit } from '../../test/support/arbitrary-mesh.js';
import { ModelPlane } from '../../test/support/model-plane.js';
import type { Sidecar } from '../../test/support/model-sidecar.js';
import { TYPES, TYPE_ORDER } from '../compile/resource.js';
import { printRef, type Document, type Draft } from '../model/document.js';
import { find } from '../model/mesh.js';
import { MeshError } from '../model/mesh-error.js';
import { stageOf } from '../status/stage.js';
import { Changes, type Plan } from './changes.js';
import type { Wish } from './plan.js';
import { Previews } from './preview.js';

const SIDECARS = ['shop/web', 'shop/cart-v1', 'front/job'];
const NAMES = ['cart.shop:80', 'cart-v1.shop:80', 'web.front:80', 'cart.shop:8080', 'inbound/shop/cart-v1'];
const by = { author: 'ada' };

const planes: ModelPlane[] = [];
afterEach(() => {
  for (const plane of planes.splice(0)) plane.close();
});

/** A control plane with a way to change it, and sidecars of which one has no stream and one has said nothing yet. */
class House {
  readonly plane: ModelPlane;
  readonly changes: Changes;
  readonly previews: Previews;
  readonly sidecars: readonly Sidecar[];

  constructor(isHurried = false) {
    this.plane = new ModelPlane(isHurried);
    planes.push(this.plane);
    this.changes = new Changes(this.plane.log, this.plane.worlds);
    this.previews = new Previews(this.changes, stageOf(this.plane.engine, this.plane.fleet));
    this.sidecars = SIDECARS.map((id) => this.plane.join(id));
    for (const sidecar of this.sidecars.slice(0, 2)) sidecar.connect();
  }

  /** The plan that `edit` makes; undefined when the mesh is against it. */
  plan(edit: Edit): Plan | undefined {
    try {
      return this.changes.plan(
        by,
        wishOf(edit, (ref) => find(this.plane.worlds.current.mesh, ref) !== undefined),
      );
    } catch (error) {
      if (error instanceof MeshError) return undefined;
      throw error;
    }
  }

  /** All sidecars answer what they have heard. */
  settle(): void {
    for (const sidecar of this.sidecars) while (sidecar.inbox.length > 0) sidecar.answer(0);
  }

  problems(): Map<string, readonly object[]> {
    return Map.groupBy(this.plane.engine.table.allProblems(), ({ ref }) => printRef(ref));
  }
}

function wishOf({ put, remove }: Edit, exists: (document: Draft) => boolean): Wish {
  const drafts = [...new Map(put.map((document) => [printRef(draftOf(document)), draftOf(document)])).values()];
  const written = new Set(drafts.map(printRef));
  const refs = [...new Map(remove.map((ref) => [printRef(ref), ref])).values()];
  const removed = refs.filter((ref) => !written.has(printRef(ref)) && exists(ref as Draft));
  return { put: drafts, remove: removed, force: true };
}

const draftOf = ({ kind, metadata: { namespace, name, labels, annotations }, spec }: Document): Draft => ({
  ...{ kind, namespace, name, labels, annotations, spec },
  origin: 'rest',
});

const step = fc.oneof(
  { weight: 5, arbitrary: anyEdit.map((edit) => ({ wish: edit })) },
  { weight: 1, arbitrary: anyEdit.map((edit) => ({ report: edit })) },
  {
    weight: 2,
    arbitrary: fc.record({ ask: fc.nat(1), type: fc.constantFrom(...TYPE_ORDER), names: fc.subarray(NAMES) }),
  },
  { weight: 1, arbitrary: fc.record({ drop: fc.nat(1) }) },
  { weight: 1, arbitrary: fc.record({ connect: fc.nat(2) }) },
);

const split = (weight: number, name = 'cart'): Wish => ({
  put: [
    {
      kind: 'TrafficSplit',
      namespace: 'shop',
      name,
      labels: {},
      annotations: {},
      origin: 'rest',
      spec: { service: name, backends: [{ service: 'cart-v1', weight }] },
    },
  ],
});
const service = (name: string): Wish => ({
  put: [
    {
      kind: 'Service',
      namespace: 'shop',
      name,
      labels: {},
      annotations: {},
      origin: 'rest',
      spec: { ports: [{ port: 80, protocol: 'HTTP' }] },
    },
  ],
});

describe('a preview', () => {
  it('tells the resources, objects and proxies that are then touched, those and no others', async () => {
    await fc.assert(
      fc.asyncProperty(fc.boolean(), fc.array(step, { minLength: 1, maxLength: 12 }), async (isHurried, steps) => {
        const house = new House(isHurried);
        const { plane, sidecars } = house;
        for (const one of steps) {
          await plane.engine.caughtUp();
          house.settle();
          if ('report' in one) plane.report(one.report);
          else if ('ask' in one) sidecars[one.ask]?.ask(one.type, one.names, []);
          else if ('drop' in one) sidecars[one.drop]?.disconnect();
          else if ('connect' in one) sidecars[one.connect]?.connect();
          if (!('wish' in one)) continue;
          const plan = house.plan(one.wish);
          if (!plan) continue;
          const preview = await house.previews.preview(plan);
          const before = house.problems();
          const { changed, revision } = await house.changes.apply(plan);
          await plane.engine.caughtUp();
          if (!changed) {
            expect(preview).toMatchObject({ resources: [], objects: [] });
            continue;
          }
          expect(preview.base).toBe(revision - 1);
          expect(preview.changes.map(({ ref }) => ref)).toEqual(plane.revisions.at(-1)?.changes.map(({ ref }) => ref));
          const effect = plane.ring.of(revision);
          if (!effect) throw new Error('it was not published');
          const names = [...effect.names].flatMap(([type, some]) => [...some].map((name) => `${type} ${name}`));
          expect(preview.resources.map(({ type, name }) => `${type} ${name}`).sort()).toEqual(names.sort());
          const concerned = plane.fleet.concernedBy(effect, plane.engine.audience);
          expect(preview.proxies.map(({ id }) => id)).toEqual(concerned.map(({ id }) => id).sort());
          const { affected, lost } = await plane.receipts.now(revision);
          expect(affected + lost.length).toBe(preview.proxies.length);
          const after = house.problems();
          for (const { ref, ...said } of preview.objects) {
            const object = printRef(ref);
            expect(said).toEqual({ before: before.get(object) ?? [], after: after.get(object) ?? [] });
          }
          const touched = [...new Set([...before.keys(), ...after.keys()])].filter(
            (object) => JSON.stringify(before.get(object)) !== JSON.stringify(after.get(object)),
          );
          expect(preview.objects.map(({ ref }) => printRef(ref)).sort()).toEqual(touched.sort());
        }
        plane.close();
      }),
    );
  });

  it('is kept nowhere, and nobody hears of it', async () => {
    const house = new House();
    const { plane, changes, previews, sidecars } = house;
    await changes.commit(by, service('cart'));
    await plane.engine.caughtUp();
    sidecars[0]?.ask(TYPES.route, ['cart.shop:80'], []);
    house.settle();
    const { sequence } = plane.engine.table;
    const heard = sidecars.map(({ inbox }) => inbox.length);
    const preview = await previews.preview(changes.plan(by, split(1)));
    expect(preview).toMatchObject({
      base: 1,
      changes: [{ ref: { kind: 'TrafficSplit', name: 'cart' } }],
      resources: [{ type: TYPES.route, name: 'cart.shop:80', how: 'changed' }],
      objects: [{ ref: { kind: 'TrafficSplit', name: 'cart' }, before: [], after: [{ reason: 'BackendNotFound' }] }],
    });
    expect(preview.proxies.map(({ id, state }) => [id, state])).toContainEqual(['shop/web', 'connected']);
    expect(plane.engine.table.sequence).toBe(sequence);
    expect(plane.engine.table.allProblems()).toEqual([]);
    expect(sidecars.map(({ inbox }) => inbox.length)).toEqual(heard);
    expect(plane.worlds.current).toMatchObject({ revision: 1 });
    expect(plane.worlds.current.mesh.TrafficSplit.size).toBe(0);
  });

  it('is of the mesh as that is by then, and refused when the plan would come to something else there', async () => {
    const { changes, previews } = new House();
    const plan = changes.plan(by, split(1));
    await changes.commit(by, split(2, 'other'));
    expect(await previews.preview(plan)).toMatchObject({ base: 1 });
    await changes.commit(by, split(3));
    await expect(previews.preview(plan)).rejects.toMatchObject({ code: 'stale-revision' });
  });

  it('comes while others write, and they get on', async () => {
    const { changes, previews, plane } = new House(true);
    await changes.commit(by, service('cart'));
    const plans = Array.from({ length: 20 }, (_, index) => changes.plan(by, split(1, `tried-${index}`)));
    const written = Array.from({ length: 20 }, (_, index) => changes.commit(by, split(index + 1)));
    const told = await Promise.all(plans.map((plan) => previews.preview(plan)));
    await Promise.all(written);
    await plane.engine.caughtUp();
    expect(told.map(({ changes: [change] }) => change?.ref.name)).toEqual(plans.map((_, index) => `tried-${index}`));
    expect(plane.worlds.current.mesh.TrafficSplit.size).toBe(1);
  });

  it('is refused when too many wait for one, and when the server stops', async () => {
    const { changes, previews, plane } = new House();
    const plan = changes.plan(by, split(1));
    await previews.preview(plan);
    const told = await Promise.allSettled(
      Array.from({ length: 120 }, (_, index) => {
        if (index === 110) plane.engine.shutDown();
        return previews.preview(plan);
      }),
    );
    const refused = told.filter(({ status }) => status === 'rejected');
    expect(refused.length).toBeGreaterThan(10);
    for (const one of refused) expect(one).toMatchObject({ reason: { code: 'not-ready' } });
  });
});
