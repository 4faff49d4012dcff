/** What many operations say of themselves in the OpenAPI document. */
import { applyDecorators, type Type } from '@nestjs/common';
import { ApiOkResponse, ApiProperty, ApiPropertyOptional, ApiQuery, ApiResponse } from '@nestjs/swagger';
import type { Fault } from '../model/fault.js';
import type { MeshErrorCode } from '../model/mesh-error.js';
import { DEFAULT_WAIT, LONGEST_WAIT } from '../model/wait.js';
import { LOST_MODES } from '../status/receipt.js';
import { PROBLEM_CONTENT_TYPE, statusOf, type Problem } from './problem.js';

export class FaultDto implements Fault {
  @ApiPropertyOptional({
    description: 'JSON pointer into the body. Absent when the fault is not in the body.',
    example: '/spec/backends/0/weight',
  })
  pointer?: string;

  @ApiPropertyOptional({ description: 'The query parameter that is at fault.' })
  parameter?: string;

  @ApiProperty({
    description: 'What is wrong, and what would be right.',
    example: 'weight must not be greater than 1000000',
  })
  detail!: string;
}

/** RFC 9457. */
export class ProblemDto implements Problem {
  [extension: string]: unknown;

  @ApiProperty({ description: 'Stable.', example: 'urn:sluice:problem:invalid' })
  type!: string;

  @ApiProperty({ example: 'The request is not valid' })
  title!: string;

  @ApiProperty({ type: 'integer', example: 400 })
  status!: number;

  @ApiProperty({ description: 'What is wrong this time, and what to do next.' })
  detail!: string;

  @ApiProperty({ description: 'The request, as the log of the server names it.' })
  instance!: string;

  @ApiPropertyOptional({ type: [FaultDto] })
  errors?: FaultDto[];

  @ApiPropertyOptional({ type: 'integer', description: 'How many faults there are beside those in `errors`.' })
  moreErrors?: number;
}

/**
 * The refusals that an operation may answer with. Three are those of every operation: there may be no token, there may be
 * a parameter that nobody knows, and the server may be about to stop. What reads a body, and may find it too large, may also find that it is no JSON.
 */
export const ApiProblems = (...codes: readonly MeshErrorCode[]) => {
  const ofBodies = codes.includes('too-large') ? (['unsupported-media-type'] as const) : [];
  return applyDecorators(
    ...(['unauthenticated', 'invalid', 'not-ready', ...codes, ...ofBodies] as const).map((code) => {
      const { status, title } = statusOf(code);
      return ApiResponse({ status, description: title, content: { [PROBLEM_CONTENT_TYPE]: { schema: PROBLEM_REF } } });
    }),
  );
};

const PROBLEM_REF = { $ref: '#/components/schemas/ProblemDto' };

/** `wait` and `timeout`. */
export const ApiWaitQuery = () =>
  applyDecorators(
    ApiQuery({
      name: 'wait',
      required: false,
      description:
        'Answer only when this share of the proxies (`100%`), or this number of them (`3`), serves the revision.',
      schema: { type: 'string', pattern: '^\\d{1,6}%?$' },
    }),
    ApiQuery({
      name: 'timeout',
      required: false,
      description:
        `How long to wait at most, such as \`${DEFAULT_WAIT}\` (which it is unless you say), up to \`${LONGEST_WAIT}\`; 504` +
        ' after that, with the receipt. The change stands all the same.',
      // No default here: Swagger UI would send it, and without wait it means nothing.
      schema: { type: 'string' },
    }),
    ApiQuery({
      name: 'lost',
      required: false,
      description:
        'Whether proxies that are lost count as proxies that do not serve the revision. They are named in any case;' +
        ' ignored unless you say.',
      schema: { type: 'string', enum: [...LOST_MODES] },
    }),
  );

/** What every write takes. */
export const ApiChangeQuery = () =>
  applyDecorators(
    ApiWaitQuery(),
    ApiQuery({
      name: 'comment',
      required: false,
      description: 'Why; kept with the revision.',
      schema: { type: 'string', maxLength: 1_000 },
    }),
    ApiQuery({
      name: 'dryRun',
      required: false,
      description:
        'With `server`: everything is checked and compiled, nothing is changed, and `preview` says what it would come to.',
      schema: { type: 'string', enum: ['server'] },
    }),
  );

/** What a write takes that may be refused for the sake of other objects, and what forces it comes to. */
export const ApiForcibleQuery = (description: string) =>
  applyDecorators(
    ApiChangeQuery(),
    ApiQuery({ name: 'force', required: false, description, schema: { type: 'boolean' } }),
  );

/** What every list takes. */
export const ApiPageQuery = () =>
  applyDecorators(
    ApiQuery({
      name: 'limit',
      required: false,
      description: 'At most so many.',
      schema: { type: 'integer', minimum: 1, maximum: 1_000, default: 100 },
    }),
    ApiQuery({
      name: 'cursor',
      required: false,
      description: 'The `next` of the page before.',
      schema: { type: 'string' },
    }),
  );

/** What every list of documents takes. */
export const ApiListQuery = () =>
  applyDecorators(
    ApiPageQuery(),
    ApiQuery({
      name: 'labelSelector',
      required: false,
      description: 'Only those with such labels, as in Kubernetes: `team=checkout,tier in (web,api),!legacy`.',
      schema: { type: 'string', maxLength: 1_000 },
    }),
    ApiQuery({
      name: 'fieldSelector',
      required: false,
      description: 'Only those with such fields, by their paths: `metadata.name!=cart,spec.service=cart`.',
      schema: { type: 'string', maxLength: 1_000 },
    }),
  );

/** What a list answers with. */
export const ApiPage = (type: Type<unknown>) =>
  ApiOkResponse({
    type,
    headers: {
      Link: {
        description: 'Where the next page is (`rel="next"`). Absent on the last one.',
        required: false,
        schema: { type: 'string' },
      },
    },
  });
