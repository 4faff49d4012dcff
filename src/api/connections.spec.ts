/** Who has to go when too many are there. */
import { describe, expect, it } from 'vitest';
import { Connections } from './connections.js';

const bounds = { strangersPerAddress: 2, strangers: 4, all: 6 };

/** Opens connections `address/number`, and gives those that had to go. */
const open = (connections: Connections, ...ids: readonly string[]): (string | undefined)[] =>
  ids.map((id) => connections.opened(id, id.split('/')[0] ?? ''));

describe('connections', () => {
  it('all stay while there is room', () => {
    expect(open(new Connections(bounds), 'a/1', 'a/2', 'b/1', 'b/2')).toEqual(Array(4).fill(undefined));
  });

  it('of one address push out its own oldest stranger', () => {
    expect(open(new Connections(bounds), 'b/1', 'a/1', 'a/2', 'a/3', 'a/4')).toEqual([
      ...Array<undefined>(3).fill(undefined),
      'a/1',
      'a/2',
    ]);
  });

  it('of many addresses push out the oldest of the most crowded', () => {
    const connections = new Connections(bounds);
    open(connections, 'a/1', 'b/1', 'b/2', 'c/1');
    expect(open(connections, 'd/1')).toEqual(['b/1']);
  });

  it('on which a token was shown are pushed out by nobody, and make room for strangers', () => {
    const connections = new Connections(bounds);
    for (const id of ['a/1', 'a/2', 'a/3']) {
      open(connections, id);
      connections.proved(id);
    }
    expect(open(connections, 'a/4', 'a/5', 'b/1')).toEqual([undefined, undefined, undefined]);
    expect(open(connections, 'c/1')).toEqual(['a/4']);
  });

  it('that find no stranger to push out do not come in', () => {
    const connections = new Connections(bounds);
    for (const id of ['1', '2', '3', '4', '5', '6'].map((number) => `a/${number}`)) {
      open(connections, id);
      connections.proved(id);
    }
    expect(open(connections, 'b/1')).toEqual(['b/1']);
  });

  it('that have closed count no more', () => {
    const connections = new Connections(bounds);
    open(connections, 'a/1', 'a/2');
    connections.closed('a/1');
    expect(open(connections, 'a/3')).toEqual([undefined]);
  });
});
