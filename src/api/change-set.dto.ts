/** A set of changes as it passes over HTTP. */
import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { IsBoolean } from 'class-validator';
import { KINDS, type KindDefinition } from '../model/kinds.js';
import { MESH_SETTINGS_NAME } from '../model/mesh-settings.js';
import { MAX_CHANGES } from '../changes/plan.js';
import { ChangeDto } from './document-results.dto.js';
import { Ignored, ListOf, MayBeLeftOut } from './fields.js';
import { ACTIONS, type Action } from './preview.dto.js';
import { RefDto } from './ref.dto.js';
import { IsKindOfMesh, IsName } from './rules.js';

export class RemovalDto {
  @ApiProperty({ example: 'TrafficSplit' })
  @IsKindOfMesh()
  kind!: string;

  @ApiProperty({ example: 'shop' })
  @IsName()
  namespace!: string;

  @ApiProperty({ example: 'cart' })
  @IsName()
  name!: string;
}

/** A document of a kind that says itself what it is and where it belongs. */
function placedDocument({ kind, namespaced }: Pick<KindDefinition, 'kind' | 'namespaced'>) {
  const place = { required: namespaced ? ['name', 'namespace'] : ['name'] };
  return {
    allOf: [
      { $ref: `#/components/schemas/${kind}Dto` },
      { required: ['kind', 'metadata', 'spec'], properties: { metadata: place } },
    ],
  };
}

export class ChangeSetDto {
  /** Each is read by the door of its kind, and not here. */
  @ApiPropertyOptional({
    type: 'array',
    maxItems: MAX_CHANGES,
    description: `Whole documents, as PUT takes them, with kind and name. The settings are called \`${MESH_SETTINGS_NAME}\`.`,
    items: { oneOf: Object.values<Pick<KindDefinition, 'kind' | 'namespaced'>>(KINDS).map(placedDocument) },
  })
  @Ignored()
  documents?: unknown;

  @ListOf(() => RemovalDto, {
    optional: true,
    min: 0,
    max: MAX_CHANGES,
    description: 'What is to be removed. It must be there.',
  })
  remove?: RemovalDto[];

  @ApiPropertyOptional({
    description:
      'Whose set of documents it is. They bear that name as the label `sluice.mesh/owner`, and whatever else bears it is removed:' +
      ' the mesh then holds of this owner what the set holds. What another owner has is refused.',
    example: 'checkout-team',
  })
  @MayBeLeftOut()
  @IsName()
  owner?: string;

  @ApiPropertyOptional({
    description:
      'Remove also what other objects name, and take from workloads what policies protect; the revision says so.',
  })
  @MayBeLeftOut()
  @IsBoolean()
  force?: boolean;
}

export class MadeChangeDto {
  @ApiProperty({ type: RefDto })
  ref!: RefDto;

  @ApiProperty({ enum: ACTIONS })
  action!: Action;
}

export class ChangeSetResultDto extends ChangeDto {
  @ApiProperty({
    type: [MadeChangeDto],
    description: 'What was changed, or would be. What was so already is not in it.',
  })
  changes!: MadeChangeDto[];
}
