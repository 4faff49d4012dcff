/** What is known of one sidecar: who it is, whether it is there, and what it has been seen to obey. */
import type { SpiffeId } from '../model/names.js';
import type { Client } from '../stream/client.js';

/**
 * connected: it has a stream. disconnected: it had one, or has registered, and may come back any moment; until then it
 * goes on with what it last had. lost: it has been gone for longer than its lease, or was turned out while its
 * certificate is still good; it may go on with what it has for all that is known.
 */
export const PROXY_STATES = ['connected', 'disconnected', 'lost'] as const;
export type ProxyState = (typeof PROXY_STATES)[number];

export interface Proxy {
  readonly enrolment: string;
  /** `namespace/name` of its workload. */
  readonly id: string;
  readonly identity: SpiffeId;
  readonly state: ProxyState;
  /** When it came to be in that state; ISO 8601. */
  readonly since: string;
  /** The program and its version, as it says itself. */
  readonly agent?: string;
  /** The newest sequence that it has whole. Absent: not known, or none yet. */
  readonly serves?: number;
  /** What it wants, holds and refuses, from its stream or from the last that it had. Absent: it has had none. */
  readonly client?: Client;
}
