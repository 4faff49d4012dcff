/** What is said on a stream, as it is handed on to what carries it. */
import { Writable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { Outgoing } from './outgoing.js';

/** Takes what is written, and says only when it is told to that it has gone out. */
class Wire extends Writable {
  readonly portions: Buffer[] = [];
  private out: (() => void) | undefined;

  constructor() {
    super({ highWaterMark: 1 });
  }

  override _writev(chunks: { chunk: Buffer }[], done: () => void): void {
    this.portions.push(Buffer.concat(chunks.map(({ chunk }) => chunk)));
    this.out = done;
  }

  override _write(chunk: Buffer, _: BufferEncoding, done: () => void): void {
    this._writev([{ chunk }], done);
  }

  async goesOut(): Promise<boolean> {
    const { out } = this;
    this.out = undefined;
    out?.();
    await new Promise((resolve) => setImmediate(resolve));
    return out !== undefined;
  }

  get text(): string {
    return Buffer.concat(this.portions).toString();
  }
}

const letters = (count: number): Buffer => Buffer.from(Array.from({ length: count }, (_, at) => 97 + (at % 26)));

describe('what is said on a stream', () => {
  it.each([
    ['a single word', [letters(20)]],
    ['a large message', [letters(100_000)]],
    ['a message in parts', [letters(5), letters(30_000), letters(0), letters(16_000), letters(7)]],
    ['very many words', Array.from({ length: 3_000 }, (_, at) => letters(at % 17))],
  ])('goes out whole and in order, never more than 16,000 bytes at once: %s', async (_, pieces) => {
    const wire = new Wire();
    const outgoing = new Outgoing(wire);
    outgoing.push(pieces);
    const all = Buffer.concat(pieces);
    expect(outgoing.length).toBe(all.length);
    while (await wire.goesOut());
    expect(wire.text).toBe(all.toString());
    expect(Math.max(...wire.portions.map(({ length }) => length))).toBeLessThanOrEqual(16_000);
    expect([outgoing.length, outgoing.sent]).toEqual([0, all.length]);
  });

  it('is followed by the end, however long it takes', async () => {
    const wire = new Wire();
    const outgoing = new Outgoing(wire);
    outgoing.push([letters(40_000)]);
    outgoing.end();
    expect(wire.writableEnded).toBe(false);
    while (await wire.goesOut());
    expect(wire.writableFinished).toBe(true);
    expect(wire.text).toHaveLength(40_000);
  });
});
