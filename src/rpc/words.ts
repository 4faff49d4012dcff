/** What others say of themselves, made fit to be kept, logged and shown. Pure. */

/** Characters that are not seen, and those that have a line read in another order than it was written. */
const UNSEEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]+/gu;

/** `text` in one line of at most `most` characters. */
export function inOneLine(text: string | null | undefined, most: number): string {
  // What is much too long is cut first: nobody has us read all of it.
  const line = (text ?? '')
    .slice(0, most * 4)
    .replaceAll(UNSEEN, ' ')
    .trim();
  return line.length > most ? `${line.slice(0, most - 1)}…` : line;
}
