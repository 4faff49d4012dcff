/** What somebody asks of an object before it may be changed, in the words of HTTP (RFC 9110 §13). */
import { printRef, refOf, type Document } from './document.js';
import { MeshError } from './mesh-error.js';

/** Tags as they are compared, without their quotes; "*" stands for any that there is. */
export type Tags = '*' | readonly string[];

export interface Precondition {
  /** The object is there, and bears one of these. */
  readonly match?: Tags;
  /** It is not there, or bears none of these. */
  readonly noneMatch?: Tags;
}

/** What tells a version of an object from all others. Only wishes have one: of facts, nobody keeps the versions. */
export const tagOf = ({ metadata }: Document): string | undefined =>
  metadata.origin === 'rest' ? String(metadata.revision) : undefined;

/** Throws `precondition-failed` unless `standing` is as asked. */
export function demand(standing: Document | undefined, { match, noneMatch }: Precondition): void {
  const bears = (tags: Tags): boolean => {
    if (!standing || tags === '*') return standing !== undefined;
    const tag = tagOf(standing);
    return tag !== undefined && tags.includes(tag);
  };
  if (match && !bears(match)) {
    throw new MeshError(
      'precondition-failed',
      standing
        ? `${printRef(refOf(standing))} is not as If-Match says, but at revision ${standing.metadata.revision}; read it again and repeat the change`
        : 'there is no such object, and If-Match asks for one',
    );
  }
  if (noneMatch && bears(noneMatch)) {
    throw new MeshError(
      'precondition-failed',
      `there is one already${standing ? `, at revision ${standing.metadata.revision}` : ''}, and If-None-Match forbids that`,
    );
  }
}
