/** What is known of one sidecar: who it is, whether it is there, and what it has been seen to obey. */
import type { TypeUrl } from '../compile/resource.js';
import type { SpiffeId } from '../model/names.js';
import type { Refusal } from './delta.js';

/**
 * connected: it has a stream. disconnected: it had one, or has registered, and may come back any moment; until then it
 * goes on with what it last had. lost: it has been gone for longer than its lease; nobody waits for it any more.
 */
export const PROXY_STATES = ['connected', 'disconnected', 'lost'] as const;
export type ProxyState = (typeof PROXY_STATES)[number];

export interface Proxy {
  /** `namespace/name` of its workload. */
  readonly id: string;
  readonly identity?: SpiffeId;
  readonly state: ProxyState;
  /** When it came to be in that state; ISO 8601. */
  readonly since: string;
  /** The program and its version, as it says itself. */
  readonly agent?: string;
  /** The newest revision that it has whole and in force. Absent: not known, or none yet. */
  readonly serves?: number;
  /** The names of the resources that it holds, by type. */
  readonly holds: ReadonlyMap<TypeUrl, readonly string[]>;
  /** What it refused and still does without. */
  readonly refusals: readonly Refusal[];
}
