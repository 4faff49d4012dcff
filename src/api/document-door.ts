/** What a feature says of one of its kinds so that REST can offer it; the rest is the same for all and said once. */
import type { Type } from '@nestjs/common';
import { API_VERSION, type Draft } from '../model/document.js';
import { pointer, type Fault } from '../model/fault.js';
import { KINDS, type DocumentOf, type Kind } from '../model/kinds.js';
import { RESERVED_NAMESPACE, isDnsLabel } from '../model/names.js';
import { parse } from './parse.js';
import type { DocumentDto } from './document.dto.js';

/** A document as it comes in, checked. */
export type Incoming<Spec> = DocumentDto & { readonly spec: Spec };

export interface Door<K extends Kind = Kind, Spec extends object = object> {
  readonly kind: K;
  /** Under which heading Swagger UI shows it. */
  readonly tag: string;
  readonly dto: Type<Incoming<Spec>>;
  /** The spec in the words of the model, with defaults filled in. */
  readonly spec: (spec: Spec) => DocumentOf[K]['spec'];
  /** What the class cannot know to be wrong. Must bear a spec that is wrong in other ways too. */
  readonly faults?: (spec: Partial<Spec>, context: Context) => readonly Fault[];
  /** A document that works when it is sent as it stands, under `name` in namespace `shop`. */
  readonly example: { readonly name: string; readonly spec: object };
}

export interface Context {
  readonly trustDomain: string;
}

/** Where a document belongs. */
export interface Place {
  readonly namespace: string;
  readonly name: string;
  /** The path says so, and not the document alone. */
  readonly isOfPath?: boolean;
}

/** The draft that `body` asks for at `place`, which the path says if nothing else is said. Throws `invalid` with every fault. */
export function readDraft<K extends Kind, Spec extends object>(
  door: Door<K, Spec>,
  place: Place,
  body: unknown,
  context: Context,
): Draft<K, DocumentOf[K]['spec']> {
  const document = parse(door.dto, body, (incoming) => [
    ...placeFaults(door.kind, place, incoming),
    ...(isObject(incoming.spec) ? (door.faults?.(incoming.spec, context) ?? []) : []),
  ]);
  const { labels = {}, annotations = {}, revision } = document.metadata ?? {};
  const { namespace, name } = place;
  return {
    kind: door.kind,
    namespace,
    name,
    labels,
    annotations,
    origin: 'rest',
    spec: door.spec(document.spec),
    ...(revision !== undefined && { basedOn: revision }),
  };
}

const isObject = (value: unknown): boolean => typeof value === 'object' && value !== null;

/** The path decides where a document goes; the document may say the same again, and nothing else. */
function placeFaults(kind: Kind, place: Place, { metadata }: DocumentDto): Fault[] {
  const names = [
    { field: 'name', inPath: place.name },
    ...(KINDS[kind].namespaced ? [{ field: 'namespace', inPath: place.namespace }] : []),
  ] as const;
  const written = isObject(metadata) ? (metadata as unknown as Record<string, unknown>) : {};
  const { isOfPath = true } = place;
  const faults = names.flatMap(({ field, inPath }): Fault[] => {
    const at = pointer('metadata', field);
    if (!isOfPath) {
      const isMissing = written[field] === undefined;
      return isMissing ? [{ pointer: at, detail: `${field} must say where the document belongs` }] : [];
    }
    if (!isDnsLabel(inPath)) {
      const detail = `the ${field} in the path must be a DNS label: at most 63 of a-z, 0-9 and "-", beginning and ending with a letter or digit`;
      return [{ pointer: at, detail }];
    }
    if (written[field] === undefined || written[field] === inPath) return [];
    return [{ pointer: at, detail: `${field} must be "${inPath}", as in the path, or be left out` }];
  });
  const namespace = place.namespace;
  if (namespace !== RESERVED_NAMESPACE) return faults;
  const detail = `namespace "${RESERVED_NAMESPACE}" is that of the control plane; choose another one`;
  return [...faults, { pointer: pointer('metadata', 'namespace'), detail }];
}

/** The example of a kind as a whole document. */
export const exampleDocument = ({ kind, example }: Pick<Door, 'kind' | 'example'>): object => ({
  apiVersion: API_VERSION,
  kind,
  metadata: { name: example.name, ...(KINDS[kind].namespaced && { namespace: 'shop' }) },
  spec: example.spec,
});
