/** Reads and writes the headers by which a change is guarded: ETag, If-Match, If-None-Match (RFC 9110 §8.8.3, §13.1). */
import { applyDecorators } from '@nestjs/common';
import { ApiHeader } from '@nestjs/swagger';
import { MeshError } from '../model/mesh-error.js';
import type { Precondition, Tags } from '../model/precondition.js';

type Headers = Readonly<Record<string, string | readonly string[] | undefined>>;

/** Tags that one header may list. */
const MAX_TAGS = 100;

/** What `headers` ask of the object; undefined when that is nothing. Throws `invalid` for what is no list of entity tags. */
export function readPrecondition(headers: Headers): Precondition | undefined {
  const match = readTags('If-Match', headers['if-match']);
  const noneMatch = readTags('If-None-Match', headers['if-none-match']);
  if (!match && !noneMatch) return undefined;
  return {
    // Compared strongly: a weak tag matches nothing there.
    ...(match && { match: match === '*' ? match : match.filter(({ weak }) => !weak).map(({ tag }) => tag) }),
    ...(noneMatch && { noneMatch: noneMatch === '*' ? noneMatch : noneMatch.map(({ tag }) => tag) }),
  };
}

interface Tag {
  readonly weak: boolean;
  readonly tag: string;
}

function readTags(name: string, value: Headers[string]): '*' | Tag[] | undefined {
  if (value === undefined) return undefined;
  const text = String(value).trim();
  if (text === '*') return '*' satisfies Tags;
  const listed = /^(\s*,)*\s*(W\/)?"[\x21\x23-\x7e]*"(\s*,\s*((W\/)?"[\x21\x23-\x7e]*")?)*$/.test(text);
  const tags = [...text.matchAll(/(W\/)?"([\x21\x23-\x7e]*)"/g)].map(([, weak, tag = '']) => ({
    weak: weak !== undefined,
    tag,
  }));
  if (listed && tags.length <= MAX_TAGS) return tags;
  throw MeshError.invalid([{ detail: `${name} must be *, or a list of at most ${MAX_TAGS} entity tags such as "7"` }]);
}

/** The header that carries the tag of a version. */
export const entityTag = (tag: string): string => `"${tag}"`;

/** What every change takes in its head. */
export const ApiPreconditions = () =>
  applyDecorators(
    ApiHeader({
      name: 'If-Match',
      required: false,
      description: 'Change the object only if it bears this ETag (`*`: if it is there); 412 otherwise.',
    }),
    ApiHeader({
      name: 'If-None-Match',
      required: false,
      description: '`*`: only if it is not there yet; 412 otherwise.',
    }),
  );
