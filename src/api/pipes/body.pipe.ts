/** Our parser as a pipe: from a body to an instance of its class, with every fault at once. */
import { createParamDecorator, type ExecutionContext, type PipeTransform, type Type } from '@nestjs/common';
import type { Fault } from '../../model/fault.js';
import type { ApiRequest } from '../authentication.js';
import { parse } from '../parse.js';

/** Names in the path, which faults may depend on. */
export type PathNames = Readonly<Record<string, string>>;

class BodyPipe<Dto extends object> implements PipeTransform<ApiRequest, Dto> {
  constructor(
    private readonly type: Type<Dto>,
    private readonly faultsOf: (dto: Dto, names: PathNames) => readonly Fault[],
  ) {}

  transform({ body, params }: ApiRequest): Dto {
    return parse(this.type, body, (dto) => this.faultsOf(dto, params as PathNames));
  }
}

const requestOf = createParamDecorator((_: unknown, context: ExecutionContext) =>
  context.switchToHttp().getRequest<ApiRequest>(),
);

/** The body as an instance of `type`. `faultsOf` adds what the class cannot know of. */
export const Parsed = <Dto extends object>(
  type: Type<Dto>,
  faultsOf: (dto: Dto, names: PathNames) => readonly Fault[] = () => [],
): ParameterDecorator => requestOf(undefined, new BodyPipe(type, faultsOf));
