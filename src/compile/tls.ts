/**
 * Mutual TLS in both directions, with the certificate and the trust anchors that the client already has, peers by
 * SPIFFE id. The version is not said: sidecars know no other than 1.3, and gRPC refuses `tls_params` (gRFC A29).
 */
import { envoy } from '../proto/messages.js';
import { any } from './encoding.js';

const { RawBuffer } = envoy.extensions.transport_sockets.raw_buffer.v3;
const { DownstreamTlsContext, UpstreamTlsContext, SubjectAltNameMatcher } = envoy.extensions.transport_sockets.tls.v3;

const { TlsInspector } = envoy.extensions.filters.listener.tls_inspector.v3;

type TransportSocket = envoy.config.core.v3.ITransportSocket;
type CommonTlsContext = envoy.extensions.transport_sockets.tls.v3.ICommonTlsContext;

/** Reads what whoever begins a TLS connection says first, and opens nothing. */
export const TLS_INSPECTOR: envoy.config.listener.v3.IListenerFilter = {
  name: 'envoy.filters.listener.tls_inspector',
  typed_config: any(TlsInspector, {}),
};

/** The certificate provider that every client of ours has: its own identity (gRFC A29 calls it a plugin instance). */
const PROVIDER = { instance_name: 'default' };

/**
 * The one name that no certificate bears. A list of accepted names must never be empty: empty means "anybody" to
 * Envoy, and a service with nothing behind it is nobody's.
 */
const NOBODY = 'spiffe://nobody.invalid/ns/none/sa/none';

/** The caller's side: the server must prove one of `identities`. */
export const upstreamTls = (identities: readonly string[]): TransportSocket =>
  tlsSocket(
    any(UpstreamTlsContext, {
      common_tls_context: common({
        match_typed_subject_alt_names: (identities.length > 0 ? identities : [NOBODY]).map((exact) => ({
          san_type: SubjectAltNameMatcher.SanType.URI,
          matcher: { exact },
        })),
      }),
    }),
  );

/**
 * The mark of an endpoint that is called by mutual TLS where the endpoints of a cluster differ (Envoy's transport socket
 * matches). Every endpoint with an identity bears it, so that its cluster may change its kind before or after it.
 */
export const MUTUAL_TLS: envoy.config.core.v3.IMetadata = {
  filter_metadata: { 'envoy.transport_socket_match': { fields: { tls: { stringValue: 'mutual' } } } },
};

/** Endpoints with the mark are called over `socket`, all others in plaintext. */
export const byMark = (socket: TransportSocket): envoy.config.cluster.v3.Cluster.ITransportSocketMatch[] => [
  { name: 'mutual', match: { fields: { tls: { stringValue: 'mutual' } } }, transport_socket: socket },
  {
    name: 'plaintext',
    match: {},
    transport_socket: { name: 'envoy.transport_sockets.raw_buffer', typed_config: any(RawBuffer, {}) },
  },
];

/** The server's side: the caller must prove some identity of the mesh; what that identity may do is policy's to say. */
export const downstreamTls = (): TransportSocket =>
  tlsSocket(any(DownstreamTlsContext, { require_client_certificate: { value: true }, common_tls_context: common({}) }));

const common = (
  validation: envoy.extensions.transport_sockets.tls.v3.ICertificateValidationContext,
): CommonTlsContext => ({
  tls_certificate_provider_instance: PROVIDER,
  validation_context: { ...validation, ca_certificate_provider_instance: PROVIDER },
});

const tlsSocket = (typed_config: NonNullable<TransportSocket['typed_config']>): TransportSocket => ({
  name: 'envoy.transport_sockets.tls',
  typed_config,
});
