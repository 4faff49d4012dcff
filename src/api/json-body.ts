/** Reads bodies: JSON in UTF-8 as it is, each member once; everything else is refused before anybody makes sense of it. */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { MeshError } from '../model/mesh-error.js';
import { repeatedMembers } from './repeated-members.js';

/** How many members that stand twice are told; nobody mends more at once. */
const MAX_REPEATED = 100;

type Done = (error: Error | null, body?: unknown) => void;

/** Makes `server` read JSON, and no other type of body. */
export function readJsonBodies(server: FastifyInstance): void {
  const parseJson = server.getDefaultJsonParser('error', 'error') as (
    request: FastifyRequest,
    text: string,
    done: Done,
  ) => void;
  server.removeAllContentTypeParsers();
  server.addContentTypeParser('application/json', { parseAs: 'buffer' }, (request, bytes: Buffer, done: Done) => {
    const refusal = refusalOf(request);
    if (refusal) return done(refusal);
    let text: string;
    try {
      text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    } catch {
      return done(MeshError.invalid([{ pointer: '', detail: 'the body is not UTF-8' }]));
    }
    parseJson(request, text, (error, body) => {
      const repeated = error ? [] : repeatedMembers(text, MAX_REPEATED);
      if (repeated.length === 0) return done(error, body);
      done(MeshError.invalid(repeated.map((pointer) => ({ pointer, detail: repeatedDetail(pointer) }))));
    });
  });
}

const repeatedDetail = (pointer: string): string =>
  `"${pointer.slice(pointer.lastIndexOf('/') + 1, 64)}" stands twice in this object; keep one of them`;

/** What is packed, or in letters of another kind, is not what it looks like. */
function refusalOf({ headers }: FastifyRequest): MeshError | undefined {
  const [, charset = 'utf-8'] = /;\s*charset\s*=\s*"?([^\s";]+)/i.exec(headers['content-type'] ?? '') ?? [];
  const encoding = headers['content-encoding'] ?? 'identity';
  if (encoding.toLowerCase() !== 'identity') {
    return new MeshError('unsupported-media-type', 'send the body as it is, without Content-Encoding');
  }
  if (!['utf-8', 'utf8', 'us-ascii'].includes(charset.toLowerCase())) {
    return new MeshError('unsupported-media-type', 'send the body in UTF-8; JSON has no other');
  }
  return undefined;
}
