/** Compiles each new mesh and hands it to every session: at once when all is quiet, in batches when changes come thick. */
import { EMPTY_SNAPSHOT, snapshotOf, type Snapshot } from '../compile/compile.js';
import { Compiler } from '../compile/compiler.js';
import { keyOf, refOf, type Document, type Ref } from '../model/document.js';
import { KINDS, type Kind } from '../model/kinds.js';
import { emptyMesh, type Mesh, type Objects } from '../model/mesh.js';
import type { Published } from './delta.js';

/** After a push, changes gather for this long before the next one, in milliseconds. */
const GATHER_MS = 10;

export class Publisher {
  private compiler: Compiler | undefined;
  private mesh: Mesh | undefined;
  private snapshot: Snapshot = EMPTY_SNAPSHOT;
  /** The revision that `snapshot` was compiled from (0: none yet), and the one that sessions were last given. */
  private revision = 0;
  private pushed = 0;
  private pending: { readonly revision: number; readonly mesh: Mesh } | undefined;
  /** Why the newest mesh could not be compiled; undefined if it was. */
  fault: string | undefined;
  private gathering: NodeJS.Timeout | undefined;
  private readonly listeners = new Set<(published: Published) => void>();

  /** @param onFailure hears of a mesh that could not be compiled, which is a fault of ours: the one before stays in force */
  constructor(private readonly onFailure: (error: unknown) => void) {}

  /** Takes in a newer mesh. */
  publish(now: { readonly revision: number; readonly mesh: Mesh }): void {
    this.pending = now;
    if (!this.gathering) this.push();
  }

  /** The newest mesh that could be compiled. */
  get compiled(): Snapshot {
    const { pending } = this;
    this.pending = undefined;
    try {
      if (pending) {
        const { mesh, revision } = pending;
        const before = this.mesh ?? emptyMesh(mesh.trustDomain);
        this.compiler ??= new Compiler('sluice', mesh.trustDomain);
        this.compiler.update({ sequence: revision, mesh }, differences(before, mesh));
        this.compiler.settle(Infinity);
        this.mesh = mesh;
        this.snapshot = snapshotOf(this.compiler);
        this.revision = revision;
        this.fault = undefined;
      }
    } catch (error) {
      this.fault = `revision ${pending?.revision} could not be compiled; proxies keep what they have`;
      this.onFailure(error);
    }
    return this.snapshot;
  }

  /** What a new session starts from. Throws when there is nothing yet: a client that is told so would drop what it has. */
  get published(): Published {
    const { resources } = this.compiled;
    if (this.revision === 0) throw new Error('no mesh has been compiled yet');
    return { revision: this.revision, resources };
  }

  /** Calls `listener` with everything that is published from now on. Returns what ends that. */
  onPublish(listener: (published: Published) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** Publishes nothing more. */
  close(): void {
    clearTimeout(this.gathering);
    this.listeners.clear();
  }

  private push(): void {
    this.gathering = setTimeout(() => {
      this.gathering = undefined;
      if (this.pending || this.revision !== this.pushed) this.push();
    }, GATHER_MS);
    const { resources } = this.compiled;
    if (this.revision === this.pushed) return;
    this.pushed = this.revision;
    for (const listener of this.listeners) listener({ revision: this.revision, resources });
  }
}

/** Where two meshes differ. */
function differences(a: Mesh, b: Mesh): { readonly ref: Ref }[] {
  const kinds = (Object.keys(KINDS) as Kind[]).filter((kind) => a[kind] !== b[kind]);
  return kinds.flatMap((kind) => {
    const [before, after]: readonly Objects<Document>[] = [a[kind], b[kind]];
    const documents = [...(before?.values() ?? []), ...(after?.values() ?? [])];
    const refs = new Map(documents.map((document) => [keyOf(document.metadata), refOf(document)]));
    return [...refs].filter(([key]) => before?.get(key) !== after?.get(key)).map(([, ref]) => ({ ref }));
  });
}
