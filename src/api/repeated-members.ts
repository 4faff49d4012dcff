/** Finds members that an object of a JSON text has twice: the readers of JSON keep the last one and say nothing. */
import { pointer } from '../model/fault.js';

/** An object or list that is open where the scanner stands. */
interface Level {
  /** The names so far; undefined for a list. */
  readonly names: Set<string> | undefined;
  /** The name or index of what is being read. */
  step: string | number;
  isAtName: boolean;
}

/** JSON pointers to the first `most` members of `text`, which must be valid JSON, whose name stood there before. */
export function repeatedMembers(text: string, most: number): string[] {
  const found: string[] = [];
  const open: Level[] = [];
  for (let at = 0; at < text.length && found.length < most; at += 1) {
    const level = open.at(-1);
    switch (text.charAt(at)) {
      case '{':
        open.push({ names: new Set(), step: '', isAtName: true });
        break;
      case '[':
        open.push({ names: undefined, step: 0, isAtName: false });
        break;
      case '}':
      case ']':
        open.pop();
        break;
      case ',':
        if (level?.names) level.isAtName = true;
        else if (level) level.step = Number(level.step) + 1;
        break;
      case '"': {
        const end = endOfText(text, at);
        if (level?.names && level.isAtName) {
          level.step = JSON.parse(text.slice(at, end + 1)) as string;
          level.isAtName = false;
          if (level.names.has(level.step)) found.push(pointer(...open.map(({ step }) => step)));
          level.names.add(level.step);
        }
        at = end;
        break;
      }
      // The colons, and what values of other kinds are made of.
      default:
    }
  }
  return found;
}

/** Where the quotation mark stands that ends the text which begins at `start`. */
function endOfText(text: string, start: number): number {
  let end = start;
  let escapes: number;
  do {
    end = text.indexOf('"', end + 1);
    escapes = 0;
    while (text[end - 1 - escapes] === '\\') escapes += 1;
  } while (escapes % 2 === 1);
  return end;
}
