/** Who comes to a port, by turns of the event loop. */
import { describe, expect, it } from 'vitest';
import { Arrivals } from './arrivals.js';

class Newcomer {
  destroyed = false;

  constructor(readonly name: number) {}

  destroy(): void {
    this.destroyed = true;
  }
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

describe('a crowd at the door', () => {
  it('is let in a few at a time, in the order in which they came, and others get their turn in between', async () => {
    const inside: number[] = [];
    const arrivals = new Arrivals<Newcomer>(({ name }) => inside.push(name));
    const crowd = Array.from({ length: 20 }, (_, name) => new Newcomer(name));
    for (const one of crowd) arrivals.add(one);
    const seen = [inside.length];
    while (inside.length < crowd.length) {
      await turn();
      seen.push(inside.length);
    }
    expect(seen).toEqual([0, 8, 16, 20]);
    expect(inside).toEqual(crowd.map(({ name }) => name));
  });

  it('loses those who have gone while they waited, and nobody waits for them', async () => {
    const inside: number[] = [];
    const arrivals = new Arrivals<Newcomer>(({ name }) => inside.push(name));
    const crowd = Array.from({ length: 20 }, (_, name) => new Newcomer(name));
    for (const one of crowd) arrivals.add(one);
    for (const one of crowd.slice(0, 12)) one.destroy();
    await turn();
    expect(inside).toEqual([12, 13, 14, 15, 16, 17, 18, 19]);
  });

  it('is sent away when the door is shut', async () => {
    const inside: number[] = [];
    const arrivals = new Arrivals<Newcomer>(({ name }) => inside.push(name));
    const one = new Newcomer(1);
    arrivals.add(one);
    arrivals.close();
    await turn();
    expect([inside, one.destroyed]).toEqual([[], true]);
  });
});
