/** An AuthorizationPolicy as it passes over HTTP. */
import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { ArrayUnique, IsIn, Matches, ValidateBy } from 'class-validator';
import { documentDto } from '../api/document.dto.js';
import { ListOf, MayBeLeftOut, Nested, ValuesOf } from '../api/fields.js';
import { ArePortNumbers, HasOneOf, HasSomeOf, IsName, IsSelector } from '../api/rules.js';
import {
  ACTIONS,
  ANYONE,
  MODES,
  SCOPES,
  parseIdentityPattern,
  parsePathPattern,
  type Action,
  type Anyone,
  type Mode,
  type Scope,
} from '../model/authorization-policy.js';

/** Bounds of one policy. A workload is protected by the rules of many. */
const MAX_RULES = 200;
const MAX_PER_RULE = 200;
const MAX_PORTS_PER_OPERATION = 64;

const IsIdentityPattern = (): PropertyDecorator =>
  ValidateBy({
    name: 'isIdentityPattern',
    validator: {
      validate: (value) => typeof value === 'string' && parseIdentityPattern(value) !== undefined,
      defaultMessage: () =>
        '$property must be a SPIFFE id, spiffe://<trust domain>/ns/<namespace>/sa/<account>, or the beginning of one followed by "/*"',
    },
  });

const ArePathPatterns = (): PropertyDecorator =>
  ValidateBy(
    {
      name: 'arePathPatterns',
      validator: {
        validate: (value) =>
          typeof value === 'string' && value.length <= 2_048 && parsePathPattern(value) !== undefined,
        defaultMessage: () =>
          'each of $property must be a path as it is after normalising: "/exact" or "/prefix/*", without "//", dot segments, or needless percent-encoding',
      },
    },
    { each: true },
  );

export class TargetDto {
  @ApiPropertyOptional({ description: 'The workloads behind this service of the namespace.', example: 'cart' })
  @MayBeLeftOut()
  @IsName()
  service?: string;

  @ApiPropertyOptional({
    type: 'object',
    additionalProperties: { type: 'string' },
    description: 'The workloads of the namespace with all of these labels.',
  })
  @MayBeLeftOut()
  @IsSelector()
  labels?: Record<string, string>;

  @ApiPropertyOptional({ enum: SCOPES, description: 'All workloads of the namespace, or of the mesh.' })
  @MayBeLeftOut()
  @IsIn(SCOPES)
  scope?: Scope;
}

export class SourceDto {
  @ApiPropertyOptional({
    description: 'One identity, or all that begin so: `spiffe://sluice.local/ns/shop/sa/*`.',
    example: 'spiffe://sluice.local/ns/shop/sa/web',
  })
  @MayBeLeftOut()
  @IsIdentityPattern()
  identity?: string;

  @ApiPropertyOptional({ description: 'Every identity of this namespace.' })
  @MayBeLeftOut()
  @IsName()
  namespace?: string;

  @ApiPropertyOptional({
    enum: ANYONE,
    description: 'Everybody with an identity of the mesh, or really everybody, plaintext callers included.',
  })
  @MayBeLeftOut()
  @IsIn(ANYONE)
  anyone?: Anyone;
}

export class OperationDto {
  @ApiPropertyOptional({ type: [String], description: 'Any of these methods. Absent: all.', example: ['GET'] })
  @ValuesOf({ min: 1, max: MAX_PER_RULE })
  @Matches(/^[A-Z][A-Z-]{0,31}$/, {
    each: true,
    message: 'each of $property must be an HTTP method in capitals, such as GET',
  })
  methods?: string[];

  @ApiPropertyOptional({
    type: [String],
    description: 'Any of these paths: `/exact` or `/prefix/*`. Absent: all.',
    example: ['/items', '/items/*'],
  })
  @ValuesOf({ min: 1, max: MAX_PER_RULE })
  @ArePathPatterns()
  paths?: string[];

  @ApiPropertyOptional({
    type: 'integer',
    isArray: true,
    uniqueItems: true,
    description:
      'At any of these ports of the workload, as its program listens on them. Absent: all. An Allow policy closes the other ports too.',
    example: [9102],
  })
  @ValuesOf({ min: 1, max: MAX_PORTS_PER_OPERATION })
  @ArrayUnique({ message: '$property must not name a port twice' })
  @ArePortNumbers()
  ports?: number[];
}

export class RuleDto {
  @HasOneOf(['identity', 'namespace', 'anyone'], { each: true })
  @ListOf(() => SourceDto, { min: 1, max: MAX_PER_RULE, description: 'Who; any of these.' })
  from!: SourceDto[];

  @HasSomeOf(['methods', 'paths', 'ports'], { each: true })
  @ListOf(() => OperationDto, {
    optional: true,
    min: 1,
    max: MAX_PER_RULE,
    description: 'May do what; any of these. Absent: everything.',
  })
  to?: OperationDto[];
}

export class AuthorizationPolicySpecDto {
  @HasOneOf(['service', 'labels', 'scope'])
  @Nested(() => TargetDto, { description: 'The workloads that it protects.' })
  target!: TargetDto;

  @ApiProperty({
    enum: ACTIONS,
    description:
      'Deny: what a rule names is turned away, whatever else allows it. Allow: what no rule of any Allow policy names is.',
  })
  @IsIn(ACTIONS)
  action!: Action;

  @ApiPropertyOptional({
    enum: MODES,
    default: 'Enforce',
    description: 'Audit: evaluated and counted, never enforced.',
  })
  @MayBeLeftOut()
  @IsIn(MODES)
  mode?: Mode;

  @ListOf(() => RuleDto, {
    min: 0,
    max: MAX_RULES,
    description:
      'Any of these. None at all, with Allow: closed to everybody whom no other policy lets in. Deny needs one. 64 KiB as JSON at most.',
  })
  rules!: RuleDto[];
}

export class AuthorizationPolicyDto extends documentDto('AuthorizationPolicy', AuthorizationPolicySpecDto) {}
