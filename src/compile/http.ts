/** The HTTP connection manager: the one network filter that every listener of ours has. */
import { envoy, type google } from '../proto/messages.js';
import { any } from './resource.js';

const { HttpConnectionManager } = envoy.extensions.filters.network.http_connection_manager.v3;
const { Router } = envoy.extensions.filters.http.router.v3;

type Manager = envoy.extensions.filters.network.http_connection_manager.v3.IHttpConnectionManager;

/** How long a request may stand still before it is given up, in seconds. Envoy's default, said aloud. */
const STREAM_IDLE_TIMEOUT_S = 300;

/** A connection manager around `settings`; its filters are theirs, then the router, which must be last. */
export const httpConnectionManager = (settings: Manager): google.protobuf.IAny =>
  any(HttpConnectionManager, {
    ...settings,
    stream_idle_timeout: { seconds: STREAM_IDLE_TIMEOUT_S },
    http_filters: [
      ...(settings.http_filters ?? []),
      { name: 'envoy.filters.http.router', typed_config: any(Router, {}) },
    ],
  });
