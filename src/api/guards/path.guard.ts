/** Keeps out what asks in a namespace that can be none: it would read as one in which there is nothing. */
import { Injectable, type CanActivate, type ExecutionContext } from '@nestjs/common';
import { MeshError } from '../../model/mesh-error.js';
import { isDnsLabel } from '../../model/names.js';
import type { ApiRequest } from '../authentication.js';

@Injectable()
export class PathGuard implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    const { method, params } = context.switchToHttp().getRequest<ApiRequest>();
    const { namespace } = (params ?? {}) as Readonly<Record<string, string>>;
    // What writes is told this together with what is wrong with its body.
    if (namespace === undefined || isDnsLabel(namespace) || method === 'PUT' || method === 'POST') return true;
    throw MeshError.invalid([{ detail: 'the namespace in the path must be a DNS label, such as "shop"' }]);
  }
}
