/** What is handed to the sessions, and what is not when a mesh cannot be compiled. */
import { describe, expect, it } from 'vitest';
import { emptyMesh, type Mesh } from '../model/mesh.js';
import { Publisher } from './publisher.js';

const mesh = emptyMesh('sluice.local');
/** No door lets such a mesh in; should one, it must not take the server with it. */
const impossible = { ...mesh, Workload: new Map([['shop/a', null]]) } as unknown as Mesh;

describe('a publisher', () => {
  it('keeps to what it published last when a mesh cannot be compiled, and says so', () => {
    const failures: unknown[] = [];
    const publisher = new Publisher((error) => failures.push(error));
    publisher.publish({ revision: 1, mesh });
    const before = publisher.published;
    publisher.publish({ revision: 2, mesh: impossible });
    expect(publisher.published).toEqual(before);
    expect(failures).toHaveLength(1);
    publisher.publish({ revision: 3, mesh });
    expect(publisher.published.revision).toBe(3);
    publisher.close();
  });

  it('gives a new session nothing rather than an empty mesh when it has none', () => {
    const publisher = new Publisher(() => undefined);
    publisher.publish({ revision: 1, mesh: impossible });
    expect(() => publisher.published).toThrow('no mesh has been compiled yet');
    publisher.close();
  });
});
