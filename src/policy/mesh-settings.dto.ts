/** The settings of the mesh as they pass over HTTP. */
import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { IsIn } from 'class-validator';
import { documentDto } from '../api/document.dto.js';
import { ValuesOf } from '../api/fields.js';
import { IsCidr } from '../api/rules.js';
import { DEFAULT_MODES, INITIAL_SETTINGS, type DefaultMode } from '../model/mesh-settings.js';

export class MeshSettingsSpecDto {
  @ApiProperty({
    enum: DEFAULT_MODES,
    description:
      'What becomes of a call to a workload that no enforced Allow policy protects. `cluster`: from an address in' +
      ' clusterNetworks. `audit`: it passes, and what `deny` would have refused is counted.',
    example: INITIAL_SETTINGS.defaultMode,
  })
  @IsIn(DEFAULT_MODES)
  defaultMode!: DefaultMode;

  @ApiPropertyOptional({
    type: [String],
    description: 'CIDRs, read by the two `cluster-` modes. Absent: private addresses.',
    example: INITIAL_SETTINGS.clusterNetworks,
  })
  @ValuesOf({ min: 0, max: 1_000 })
  @IsCidr({ each: true })
  clusterNetworks?: string[];
}

export class MeshSettingsDto extends documentDto('MeshSettings', MeshSettingsSpecDto) {}
