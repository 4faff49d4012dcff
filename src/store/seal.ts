/**
 * The last line of a backup: a digest of all that stands before it. A database that says that it is whole may still hold a page of
 * another time, and a file that was cut short at the right place as well.
 */
import { createHash, type Hash } from 'node:crypto';
import { appendFileSync, closeSync, constants, fstatSync, openSync, readSync, writeSync } from 'node:fs';

/** A file that does not end as it should; the message goes on from its name, and says what to do. */
export class NotSealed extends Error {
  override readonly name = 'NotSealed';
}

const CHUNK = 1024 * 1024;
const line = (hash: Hash): string => `\nsluice-backup sha256 ${hash.digest('hex')}\n`;
const LENGTH = line(createHash('sha256')).length;

/** Adds its last line to `file`. */
export function seal(file: string): void {
  const descriptor = openSync(file, 'r');
  try {
    const hash = createHash('sha256');
    for (const chunk of chunksOf(descriptor, fstatSync(descriptor).size)) hash.update(chunk);
    appendFileSync(file, line(hash));
  } finally {
    closeSync(descriptor);
  }
}

/** Copies what stands before the last line of `file` into `copy`, a new file for its owner alone. Throws NotSealed. */
export function unseal(file: string, copy: string): void {
  const source = openSync(file, 'r');
  const target = openSync(copy, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600);
  try {
    const size = fstatSync(source).size - LENGTH;
    const end = size < 0 ? '' : Buffer.concat([...chunksOf(source, LENGTH, size)]).toString('latin1');
    if (!/^\nsluice-backup sha256 [0-9a-f]{64}\n$/.test(end)) {
      throw new NotSealed('is no backup, or was cut short; "sluice server backup FILE" makes one');
    }
    const hash = createHash('sha256');
    for (const chunk of chunksOf(source, size)) {
      hash.update(chunk);
      for (let written = 0; written < chunk.length;) written += writeSync(target, chunk, written);
    }
    if (line(hash) !== end) throw new NotSealed('is damaged: it is not what was written; restore from another one');
  } finally {
    closeSync(source);
    closeSync(target);
  }
}

/** The `length` bytes of an open file that begin at `start`; fewer when it ends before. */
function* chunksOf(descriptor: number, length: number, start = 0): Iterable<Buffer> {
  for (let position = 0; position < length;) {
    const chunk = Buffer.alloc(Math.min(CHUNK, length - position));
    const read = readSync(descriptor, chunk, 0, chunk.length, start + position);
    if (read === 0) return;
    yield chunk.subarray(0, read);
    position += read;
  }
}
