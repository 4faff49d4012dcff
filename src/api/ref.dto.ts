/** The name of an object, as answers give it. */
import { ApiProperty } from '@nestjs/swagger';
import type { Ref } from '../model/document.js';
import { KINDS, type Kind } from '../model/kinds.js';

export class RefDto implements Ref {
  @ApiProperty({ enum: Object.keys(KINDS) })
  kind!: Kind;

  @ApiProperty({ description: 'Empty for what belongs to the whole mesh.', example: 'shop' })
  namespace!: string;

  @ApiProperty({ example: 'cart' })
  name!: string;
}
