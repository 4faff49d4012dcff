/** Who finds a place to wait. */
import { expect, it } from 'vitest';
import { WaitingRoom } from './waiting-room.js';

it('nobody takes all places, and the last are for those who have few', () => {
  const room = new WaitingRoom({ places: 10, each: 6, reserve: 3, few: 2 });
  const enter = (author: string, times: number): number => {
    let entered = 0;
    while (entered < times && room.refusalOf(author) === undefined) {
      room.enter(author);
      entered += 1;
    }
    return entered;
  };
  expect(enter('pipeline', 100)).toBe(6);
  expect(room.refusalOf('pipeline')).toBe('6 callers with this token are waiting already');
  expect([enter('other', 100), enter('operator', 100)]).toEqual([2, 2]);
  expect([room.size, room.refusalOf('late')]).toEqual([10, '10 callers are waiting already']);
  room.leave('pipeline');
  expect([room.refusalOf('late'), room.refusalOf('pipeline')]).toEqual([undefined, '9 callers are waiting already']);
  for (let left = 0; left < 5; left += 1) room.leave('pipeline');
  expect([room.size, enter('operator', 100)]).toEqual([4, 3]);
});
