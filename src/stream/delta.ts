/** What passes between a client and its session, in plain values: no transport type comes this far. */
import type { Resource, TypeUrl } from '../compile/resource.js';

export interface DeltaRequest {
  readonly type: string;
  /** Empty unless it answers a response. */
  readonly nonce: string;
  readonly subscribe: readonly string[];
  readonly unsubscribe: readonly string[];
  /** Name to version of what the client holds from an earlier stream. */
  readonly initialVersions: Readonly<Record<string, string>>;
  /** Present: the response was refused. */
  readonly error?: {
    readonly message: string;
    /** Which of its resources were refused; absent when the client does not tell, and then all of them were. */
    readonly resources?: readonly { readonly name: string; readonly reason: string }[];
  };
}

export interface DeltaResponse {
  readonly type: TypeUrl;
  readonly nonce: string;
  /** The state of the world that it is taken from. */
  readonly sequence: number;
  readonly resources: readonly Resource[];
  readonly removed: readonly string[];
}

/** What became of a name and the client would not take. What it had before, if anything, is still in force there. */
export interface Refusal {
  readonly type: TypeUrl;
  readonly name: string;
  /** Empty: that it is gone. */
  readonly version: string;
  /** The sequence at which that came into the world. */
  readonly since: number;
  readonly reason: string;
  /** Milliseconds since the epoch. */
  readonly at: number;
}

/** The client broke the protocol, or a limit; its stream must end. */
export class SessionViolation extends Error {
  override readonly name = 'SessionViolation';
}
