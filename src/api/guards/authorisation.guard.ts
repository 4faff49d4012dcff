/** Lets a request through to its operation only in somebody's name; what a name may do will be asked here. */
import { SetMetadata, applyDecorators, Injectable, type CanActivate, type ExecutionContext } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { RouteConfig } from '@nestjs/platform-fastify';
import { MeshError } from '../../model/mesh-error.js';
import type { ApiRequest } from '../authentication.js';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** True for what says nothing of the mesh: it may be asked without a token. */
    readonly public?: boolean;
  }
}

const PUBLIC = Symbol('Public');

/** An operation that may be asked without a token, since its answer says nothing of the mesh. */
export const Public = (): MethodDecorator => applyDecorators(SetMetadata(PUBLIC, true), RouteConfig({ public: true }));

/**
 * Who asks was found out before the body was read (authentication.ts). An operation that is reached without that,
 * by whatever way, is not for nobody.
 */
@Injectable()
export class AuthorisationGuard implements CanActivate {
  constructor(private readonly reflector: Reflector) {}

  canActivate(context: ExecutionContext): boolean {
    if (this.reflector.get<true | undefined>(PUBLIC, context.getHandler())) return true;
    if (context.switchToHttp().getRequest<ApiRequest>().caller) return true;
    throw new MeshError('unauthenticated', 'send a token');
  }
}
