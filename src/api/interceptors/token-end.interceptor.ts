/** A request that waits ends with the token that it came with: it would else go on in the name of nobody. */
import { Injectable, type CallHandler, type ExecutionContext, type NestInterceptor } from '@nestjs/common';
import { Observable, raceWith } from 'rxjs';
import { MeshError } from '../../model/mesh-error.js';
import type { ApiRequest } from '../authentication.js';

@Injectable()
export class TokenEndInterceptor implements NestInterceptor {
  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    const { caller, query } = context.switchToHttp().getRequest<ApiRequest>();
    // What waits for nothing has its answer sooner than this would matter, the revocation of one's own token above all.
    if (!caller || (query as Readonly<Record<string, unknown>>)['wait'] === undefined) return next.handle();
    return next.handle().pipe(raceWith(endOf(caller.signal)));
  }
}

/** Fails when `signal` says why; that the caller has hung up is nothing to be told to anybody. */
const endOf = (signal: AbortSignal): Observable<never> =>
  new Observable((subscriber) => {
    const tell = (): void => {
      if (signal.reason instanceof MeshError) subscriber.error(signal.reason);
    };
    if (signal.aborted) tell();
    signal.addEventListener('abort', tell);
    return () => signal.removeEventListener('abort', tell);
  });
