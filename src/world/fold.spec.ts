/** What several sources come to as one world, and who keeps a name that two of them have. */
import { describe, expect, it } from 'vitest';
import { refOf, type Document, type Origin } from '../model/document.js';
import type { Change, Revision } from '../model/revision.js';
import type { WorldStep } from '../model/world.js';
import { Worlds } from './fold.js';
import type { Source, SourceEvent } from './source.js';

const workload = (origin: Origin, address: string, name = 'cart'): Document => ({
  kind: 'Workload',
  metadata: { name, namespace: 'shop', labels: {}, annotations: {}, origin, revision: 0, createdAt: '', updatedAt: '' },
  spec: { address, health: 'Healthy' },
});

class Held implements Source {
  private readonly listeners = new Set<(event: SourceEvent) => void>();

  constructor(
    readonly origin: Origin,
    readonly documents: Document[] = [],
  ) {}

  onChange(listener: (event: SourceEvent) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  tell(event: SourceEvent): void {
    for (const listener of this.listeners) listener(event);
  }

  put(after: Document): void {
    this.tell({ changes: [{ ref: refOf(after), after }] });
  }

  remove(before: Document): void {
    this.tell({ changes: [{ ref: refOf(before), before }] });
  }
}

function world(wished: Document[] = [], reported: Document[] = []) {
  const [wishes, facts] = [new Held('rest', wished), new Held('sidecar', reported)];
  const worlds = new Worlds('sluice.local', [wishes, facts], 7);
  const steps: WorldStep[] = [];
  worlds.onStep((step) => steps.push(step));
  const address = (name = 'cart') => worlds.current.mesh.Workload.get(`shop/${name}`)?.spec.address;
  return { wishes, facts, worlds, steps, address };
}

const revision = (number: number, changes: Change[]): SourceEvent => ({
  changes,
  revision: { number, author: 'ada', comment: '', at: '', changes } satisfies Revision,
});

describe('the world', () => {
  it('begins with what all sources have, at sequence 1 and the newest revision', () => {
    const { worlds, address } = world([workload('rest', '10.0.0.1', 'a')], [workload('sidecar', '10.0.0.2', 'b')]);
    expect(worlds.current).toMatchObject({ sequence: 1, revision: 7 });
    expect([address('a'), address('b')]).toEqual(['10.0.0.1', '10.0.0.2']);
  });

  it('has its next sequence with every wish and every fact, and its next revision with wishes alone', () => {
    const { wishes, facts, steps } = world();
    facts.put(workload('sidecar', '10.0.0.1'));
    const other = workload('rest', '10.0.0.2', 'other');
    wishes.tell(revision(8, [{ ref: refOf(other), after: other }]));
    expect(steps.map((step) => [step.world.sequence, step.world.revision, step.revisions.length])).toEqual([
      [2, 7, 0],
      [3, 8, 1],
    ]);
  });

  it('makes no step of what changes nothing, but one of every revision', () => {
    const { wishes, facts, steps } = world();
    facts.tell({ changes: [] });
    facts.remove(workload('sidecar', '10.0.0.1'));
    expect(steps).toEqual([]);
    wishes.tell(revision(8, []));
    expect(steps).toMatchObject([{ world: { sequence: 2, revision: 8 }, changes: [] }]);
  });

  it('says what stood there before, whatever the source says', () => {
    const [old, young] = [workload('sidecar', '10.0.0.1'), workload('sidecar', '10.0.0.2')];
    const { facts, steps } = world([], [old]);
    facts.put(young);
    expect(steps[0]?.changes).toEqual([{ ref: refOf(old), before: old, after: young }]);
  });

  it('leaves a name to the origin that had it first, until that lets it go', () => {
    const { wishes, facts, steps, address } = world([], [workload('sidecar', '10.0.0.1')]);
    wishes.put(workload('rest', '10.0.0.2'));
    expect(address()).toBe('10.0.0.1');
    expect(steps).toEqual([]);
    facts.put(workload('sidecar', '10.0.0.3'));
    expect(address()).toBe('10.0.0.3');
    facts.remove(workload('sidecar', '10.0.0.3'));
    expect(address()).toBe('10.0.0.2');
    expect(steps.at(-1)?.changes).toMatchObject([{ before: { metadata: { origin: 'sidecar' } } }]);
    wishes.remove(workload('rest', '10.0.0.2'));
    expect(address()).toBeUndefined();
  });

  it('does not bring back what was taken out while it could not be seen', () => {
    const { wishes, facts, address } = world([workload('rest', '10.0.0.1')], [workload('sidecar', '10.0.0.2')]);
    facts.remove(workload('sidecar', '10.0.0.2'));
    expect(address()).toBe('10.0.0.1');
    wishes.remove(workload('rest', '10.0.0.1'));
    expect(address()).toBeUndefined();
  });

  it('lets a wish take out what a sidecar has reported: that is an eviction', () => {
    const fact = workload('sidecar', '10.0.0.1');
    const { wishes, steps, address } = world([], [fact]);
    wishes.tell(revision(8, [{ ref: refOf(fact), before: fact }]));
    expect(address()).toBeUndefined();
    expect(steps).toMatchObject([{ changes: [{ before: fact }], revisions: [{ number: 8 }] }]);
  });

  it('tells everybody of a step before it takes the next, even when a listener causes that', () => {
    const { facts, worlds } = world();
    const told: string[] = [];
    worlds.onStep((step) => {
      told.push(`first ${step.world.sequence}`);
      if (step.world.sequence === 2) facts.put(workload('sidecar', '10.0.0.2'));
    });
    worlds.onStep((step) => told.push(`second ${step.world.sequence}`));
    facts.put(workload('sidecar', '10.0.0.1'));
    expect(told).toEqual(['first 2', 'second 2', 'first 3', 'second 3']);
  });
});
