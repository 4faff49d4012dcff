/** What a change would come to, as it is told: objects with their differences, what would be said of others, and the proxies. */
import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import type { Preview, TouchedProxy } from '../changes/preview.js';
import { differences, type Difference } from '../model/diff.js';
import type { Document, Ref } from '../model/document.js';
import type { Change } from '../model/revision.js';
import { CONDITION_TYPES } from '../status/conditions.js';
import { RefDto } from './ref.dto.js';

/** How many proxies are named. */
const NAMED = 1_000;

export const ACTIONS = ['create', 'replace', 'remove'] as const;
export type Action = (typeof ACTIONS)[number];

/** Whatever a document may hold. */
const ANY_JSON = [
  { type: 'string' },
  { type: 'number' },
  { type: 'boolean' },
  { type: 'array', items: {} },
  { type: 'object', additionalProperties: true },
];

export class DifferenceDto implements Difference {
  @ApiProperty({ enum: ['add', 'remove', 'replace'] })
  op!: Difference['op'];

  @ApiProperty({ description: 'JSON pointer into the document.', example: '/spec/backends/0/weight' })
  path!: string;

  @ApiPropertyOptional({ anyOf: ANY_JSON, description: 'What would stand there.', example: 50 })
  value?: unknown;

  @ApiPropertyOptional({ anyOf: ANY_JSON, description: 'What stands there now.', example: 90 })
  was?: unknown;
}

export class PlannedChangeDto {
  @ApiProperty({ type: RefDto })
  ref!: RefDto;

  @ApiProperty({ enum: ACTIONS })
  action!: Action;

  @ApiProperty({
    type: [DifferenceDto],
    description: 'A patch (RFC 6902) of labels, annotations and spec; all of them where the object comes or goes.',
  })
  diff!: DifferenceDto[];

  @ApiPropertyOptional({ type: [RefDto], description: 'It would be removed by force, although these name it.' })
  forced?: readonly RefDto[];
}

export class FindingDto {
  @ApiProperty({ enum: CONDITION_TYPES })
  condition!: (typeof CONDITION_TYPES)[number];

  @ApiProperty({ enum: ['None', 'Partial', 'Full'], description: 'What the object does all the same.' })
  effect!: 'None' | 'Partial' | 'Full';

  @ApiProperty({ description: 'One word, for machines.', example: 'BackendNotFound' })
  reason!: string;

  @ApiProperty({ description: 'For people.' })
  message!: string;
}

export class ConcernedObjectDto {
  @ApiProperty({ type: RefDto })
  ref!: RefDto;

  @ApiProperty({ type: [FindingDto], description: 'What is said of it now.' })
  before!: FindingDto[];

  @ApiProperty({ type: [FindingDto], description: 'What would be said of it.' })
  after!: FindingDto[];
}

export class ConcernedProxyDto {
  @ApiProperty({ description: '`namespace/name` of its workload.', example: 'shop/cart-v1' })
  proxy!: string;

  @ApiProperty({ enum: ['connected', 'disconnected', 'lost'] })
  state!: TouchedProxy['state'];
}

export class PreviewDto {
  @ApiProperty({ type: 'integer', description: 'The revision of the mesh that it was made for.' })
  base!: number;

  @ApiProperty({ description: 'Equal plans have equal hashes. A change set can be held to one.' })
  hash!: string;

  @ApiProperty({ type: [PlannedChangeDto] })
  changes!: PlannedChangeDto[];

  @ApiProperty({ type: [ConcernedObjectDto], description: 'Objects of which something else would be said.' })
  objects!: ConcernedObjectDto[];

  @ApiProperty({ type: 'integer', description: 'How many proxies it concerns, or may.' })
  affected!: number;

  @ApiProperty({ type: [ConcernedProxyDto], description: `Those, up to ${NAMED}.` })
  proxies!: ConcernedProxyDto[];
}

const marked = ({ metadata: { labels, annotations }, spec }: Document) => ({ metadata: { labels, annotations }, spec });

const actionOf = ({ before, after }: Change): Action => (!before ? 'create' : !after ? 'remove' : 'replace');

/** A change as it is told when it has been made. */
export const madeChange = (change: Change): { ref: Ref; action: Action } => ({
  ref: change.ref,
  action: actionOf(change),
});

/** A change as it is told before it is made. */
function plannedChange(change: Change): PlannedChangeDto {
  const { ref, before, after, forced } = change;
  const diff: Difference[] =
    before && after
      ? differences(marked(before), marked(after))
      : after
        ? [{ op: 'add', path: '', value: marked(after) }]
        : before
          ? [{ op: 'remove', path: '', was: marked(before) }]
          : [];
  return { ref, action: actionOf(change), diff, ...(forced && { forced }) };
}

export const printPreview = ({ base, changes, objects, proxies }: Preview, hash: string): PreviewDto => ({
  base,
  hash,
  changes: changes.map(plannedChange),
  objects: objects.map(({ ref, before, after }) => ({ ref, before: before.map(finding), after: after.map(finding) })),
  affected: proxies.length,
  proxies: proxies.slice(0, NAMED).map(({ id, state }) => ({ proxy: id, state })),
});

const finding = ({ condition, effect, reason, message }: FindingDto): FindingDto => ({
  condition,
  effect,
  reason,
  message,
});
