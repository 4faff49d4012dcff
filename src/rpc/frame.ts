/** gRPC's framing: a byte of flags, four of length, and the message. Takes pieces in and gives messages out; knows no transport. */
import { GrpcRefusal, STATUS } from './refusal.js';

const HEADER = 5;
/** Up to this much, one copy is cheaper than handing on the parts of a message one by one. */
const SMALL = 4_096;
/** What is kept of a message that is not whole begins with this much room. */
const FIRST_ROOM = 256;

/**
 * Gathers messages from pieces of any size. What waits for its rest is kept in a buffer of its own that grows with what
 * has really come, whatever was announced: a piece is a window onto a much larger one, and would keep that alive.
 */
export class MessageReader {
  private kept = Buffer.alloc(0);
  private length = 0;
  private piece: Buffer | undefined;

  constructor(private readonly maxBytes: number) {}

  /** Bytes of a message that is not whole yet. */
  get held(): number {
    return this.length + (this.piece?.length ?? 0);
  }

  /** Takes in a piece. Ask `next` for all that it completes before the piece after it. */
  push(piece: Buffer): void {
    if (this.length === 0 && !this.piece) this.piece = piece;
    else {
      this.keep();
      this.append(piece);
    }
  }

  /** The next whole message, if there is one; it is good until the next `push`. Throws GrpcRefusal for what cannot be one. */
  next(): Buffer | undefined {
    const bytes = this.piece ?? this.kept.subarray(0, this.length);
    const size = sizeOf(bytes, this.maxBytes);
    if (size === undefined || bytes.length < HEADER + size) {
      this.keep();
      return undefined;
    }
    const rest = bytes.subarray(HEADER + size);
    this.piece = rest.length > 0 ? rest : undefined;
    this.length = 0;
    this.kept = Buffer.alloc(0);
    return bytes.subarray(HEADER, HEADER + size);
  }

  private keep(): void {
    const piece = this.piece;
    this.piece = undefined;
    if (piece) this.append(piece);
  }

  private append(piece: Buffer): void {
    const length = this.length + piece.length;
    if (length > this.kept.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(length, Math.min(this.kept.length * 2, this.maxBytes), FIRST_ROOM));
      this.kept.copy(grown, 0, 0, this.length);
      this.kept = grown;
    }
    piece.copy(this.kept, this.length);
    this.length = length;
  }
}

/** The size that a message announces, once its header is there. */
function sizeOf(bytes: Buffer, maxBytes: number): number | undefined {
  if (bytes.length < HEADER) return undefined;
  const flags = bytes.readUInt8(0);
  if (flags === 1) throw new GrpcRefusal(STATUS.unimplemented, 'compressed messages are not taken here');
  if (flags !== 0) throw new GrpcRefusal(STATUS.internal, 'this is no message of gRPC');
  const size = bytes.readUInt32BE(1);
  if (size > maxBytes) {
    throw new GrpcRefusal(STATUS.resourceExhausted, `a message of ${size} bytes is too large; ${maxBytes} are taken`);
  }
  return size;
}

/** A message as it goes out, in pieces. Large parts are handed on as they are, so that many streams can share one. */
export function framed(parts: readonly Uint8Array[]): readonly Uint8Array[] {
  let size = 0;
  for (const { length } of parts) size += length;
  const isSmall = size <= SMALL;
  const piece = Buffer.allocUnsafe(isSmall ? HEADER + size : HEADER);
  piece.writeUInt8(0, 0);
  piece.writeUInt32BE(size, 1);
  if (!isSmall) return [piece, ...parts];
  let end = HEADER;
  for (const part of parts) {
    piece.set(part, end);
    end += part.length;
  }
  return [piece];
}
