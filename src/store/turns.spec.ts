/** Who writes when: operators first, everybody in the end, and nobody beside a reader. */
import { describe, expect, it } from 'vitest';
import { Turns, type Lane } from './turns.js';

/** Queues `lanes` behind one who is busy until all of them wait, and says in which order they had their turns. */
async function orderOf(lanes: readonly Lane[]): Promise<string> {
  const turns = new Turns();
  const order: string[] = [];
  const gate = Promise.withResolvers<void>();
  const busy = turns.take('operators', () => gate.promise);
  const others = lanes.map((lane) => turns.take(lane, async () => void order.push(lane[0] ?? '')));
  gate.resolve();
  await Promise.all([busy, ...others]);
  return order.join('');
}

describe('turns', () => {
  it('are taken by rank, and in order of arrival within a lane', async () => {
    expect(await orderOf(['upkeep', 'strangers', 'members', 'operators', 'members'])).toBe('ommsu');
  });

  it('come to those of lower rank however many there are of higher', async () => {
    const lanes: Lane[] = ['strangers', 'members', ...Array.from({ length: 40 }, () => 'operators' as const)];
    const order = await orderOf(lanes);
    expect(order.indexOf('s')).toBeLessThan(10);
    expect(order.indexOf('m')).toBeLessThan(20);
  });

  it('are refused to strangers before they are to operators, and never run then', async () => {
    const turns = new Turns();
    const gate = Promise.withResolvers<void>();
    const busy = turns.take('operators', () => gate.promise);
    let ran = 0;
    const strangers = Array.from({ length: 101 }, () => turns.take('strangers', async () => void (ran += 1)));
    await expect(strangers.at(-1)).rejects.toMatchObject({ code: 'store-unavailable' });
    const operator = turns.take('operators', async () => 'had its turn');
    gate.resolve();
    expect(await operator).toBe('had its turn');
    await Promise.allSettled([busy, ...strangers]);
    expect(ran).toBe(100);
  });

  it('are never had beside a reader', async () => {
    const turns = new Turns();
    let writing = false;
    const seen: boolean[] = [];
    const write = () =>
      turns.take('operators', async () => {
        writing = true;
        await new Promise(setImmediate);
        writing = false;
      });
    const read = () =>
      turns.share(async () => {
        seen.push(writing);
        await new Promise(setImmediate);
        seen.push(writing);
      });
    await Promise.all([write(), read(), write(), read(), read(), write()]);
    expect(seen).toEqual(Array.from({ length: 6 }, () => false));
  });

  it('go on after one that failed', async () => {
    const turns = new Turns();
    const failed = turns.take('operators', () => Promise.reject(new Error('no')));
    const next = turns.take('operators', async () => 'yes');
    await expect(failed).rejects.toThrow('no');
    expect(await next).toBe('yes');
  });
});
