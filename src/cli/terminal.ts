/** Where a command reads and writes: data goes to stdout, talk to stderr, so that pipes carry only data. */
import { styleText } from 'node:util';

export type Tone = 'bold' | 'green' | 'yellow' | 'red';

export const terminal = {
  /** Writes data. */
  out(text: string): void {
    process.stdout.write(text);
  },

  /** Says something to a person. */
  talk(line: string): void {
    process.stderr.write(`${line}\n`);
  },

  /** Says something only to a person who sits there and waits. */
  progress(line: string): void {
    if (process.stderr.isTTY) this.talk(line);
  },

  /** Colours data on a terminal, unless NO_COLOR says otherwise; FORCE_COLOR does it everywhere. */
  paint: (tone: Tone, text: string): string => styleText(tone, text, { stream: process.stdout, validateStream: true }),

  /** All of stdin. */
  async input(): Promise<Buffer> {
    const chunks: Buffer[] = [];
    for await (const chunk of process.stdin) chunks.push(chunk as Buffer);
    return Buffer.concat(chunks);
  },
};
