/** That work in slices lets others have their turn, and is done all the same. */
import { describe, expect, it } from 'vitest';
import { SLICE_MS, inSlices } from './in-slices.js';

describe('work in slices', () => {
  it('is done in order, and others have a turn when a slice is over', async () => {
    const said: string[] = [];
    let now = 0;
    const make = (item: string): number => {
      said.push(item);
      return (now += SLICE_MS / 2);
    };
    const work = inSlices(['a', 'b', 'c', 'd', 'e'], make, () => now);
    for (const turn of ['first', 'second', 'third']) {
      await new Promise(setImmediate);
      said.push(turn);
    }
    expect(await work).toEqual([2, 4, 6, 8, 10]);
    expect(said).toEqual(['a', 'b', 'c', 'd', 'first', 'e', 'second', 'third']);
  });
});
