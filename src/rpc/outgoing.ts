/**
 * What is said on one stream and has not gone out yet, handed on a portion at a time. TLS keeps for each connection as much room
 * as was ever written to it at once, for as long as it lasts; and everybody is sent a lot once, when it comes.
 */
import type { Writable } from 'node:stream';

/** A portion fits into one frame of HTTP/2, and that into one record of TLS. */
const PORTION = 16_000;

/** As much of a stream as this needs. */
export type Sink = Pick<Writable, 'cork' | 'uncork' | 'write' | 'end'>;

export class Outgoing {
  private readonly waiting: Uint8Array[] = [];
  /** Bytes of what waits, and of the portion that is on its way. */
  private kept = 0;
  private handed = 0;
  private gone = 0;
  private isEnding = false;

  constructor(private readonly sink: Sink) {}

  /** Bytes that have not gone out yet. */
  get length(): number {
    return this.kept + this.handed;
  }

  /** Bytes that have gone out. */
  get sent(): number {
    return this.gone;
  }

  /** Takes pieces in, which must not change any more. */
  push(pieces: readonly Uint8Array[]): void {
    for (const piece of pieces) {
      this.waiting.push(piece);
      this.kept += piece.length;
    }
    this.handOn();
  }

  /** Ends the stream when all has gone out. */
  end(): void {
    this.isEnding = true;
    this.handOn();
  }

  private handOn(): void {
    if (this.handed > 0) return;
    const portion = this.takePortion();
    const last = portion.pop();
    if (!last) {
      if (this.isEnding) this.sink.end();
      return;
    }
    if (portion.length > 0) this.sink.cork();
    for (const piece of portion) this.sink.write(piece);
    this.sink.write(last, (error) => this.wentOut(error));
    if (portion.length > 0) this.sink.uncork();
  }

  private wentOut(error: Error | null | undefined): void {
    // A stream that failed is over: that is told elsewhere.
    if (error) return;
    this.gone += this.handed;
    this.handed = 0;
    this.handOn();
  }

  /** As much as may be handed on at once. A piece that is larger than that is cut, and not copied. */
  private takePortion(): Uint8Array[] {
    const portion: Uint8Array[] = [];
    for (let left = PORTION; left > 0;) {
      const [next] = this.waiting;
      if (!next) break;
      const size = Math.min(next.length, left);
      if (size === next.length) this.waiting.shift();
      else this.waiting[0] = next.subarray(size);
      portion.push(size === next.length ? next : next.subarray(0, size));
      this.handed += size;
      left -= size;
    }
    this.kept -= this.handed;
    return portion;
  }
}
