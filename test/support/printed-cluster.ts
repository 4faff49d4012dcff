/** As much of a compiled cluster as tests look at: who may answer for it. */
import type { Resource } from '../../src/compile/resource.js';
import { readable } from './print-snapshot.js';

interface Printed {
  readonly transport_socket?: Socket;
  readonly transport_socket_matches?: readonly { readonly transport_socket: Socket }[];
}

interface Socket {
  readonly typed_config: {
    readonly common_tls_context: {
      readonly validation_context: {
        readonly match_typed_subject_alt_names: readonly { readonly matcher: { readonly exact: string } }[];
      };
    };
  };
}

/** The identities that a cluster accepts, and whether it is called in plaintext where an endpoint has none. */
export function acceptedBy({ type, bytes }: Resource): { readonly identities: string[]; readonly plaintext: boolean } {
  const cluster = readable({ type_url: type, value: bytes }) as Printed;
  const [mutual] = cluster.transport_socket_matches ?? [];
  const context = (cluster.transport_socket ?? mutual?.transport_socket)?.typed_config.common_tls_context;
  const names = context?.validation_context.match_typed_subject_alt_names ?? [];
  return { identities: names.map(({ matcher }) => matcher.exact), plaintext: !cluster.transport_socket };
}
