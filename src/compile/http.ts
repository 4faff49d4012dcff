/** The HTTP connection manager: the one network filter that every listener of ours has. */
import { envoy, type google } from '../proto/messages.js';
import { any, encode, encodeApart, encodedAny, joined } from './encoding.js';

const { HttpConnectionManager } = envoy.extensions.filters.network.http_connection_manager.v3;
const { Router } = envoy.extensions.filters.http.router.v3;

type Manager = envoy.extensions.filters.network.http_connection_manager.v3.IHttpConnectionManager;
type Filter = envoy.extensions.filters.network.http_connection_manager.v3.IHttpFilter;

/** How long a request may stand still before it is given up, in seconds. Envoy's default, said aloud. */
const STREAM_IDLE_TIMEOUT_S = 300;

/** The filters of a connection manager: some, then the router, which must be last. */
export const httpFilters = (filters: readonly Filter[]): Uint8Array =>
  encodeApart(HttpConnectionManager, {
    http_filters: [...filters, { name: 'envoy.filters.http.router', typed_config: any(Router, {}) }],
  });

const ROUTER_ALONE = httpFilters([]);

const settingsWith = (
  paths: Pick<Manager, 'normalize_path' | 'merge_slashes' | 'path_with_escaped_slashes_action'>,
): Uint8Array => encode(HttpConnectionManager, { ...paths, stream_idle_timeout: { seconds: STREAM_IDLE_TIMEOUT_S } });

const PATHS_AS_THEY_COME = settingsWith({});

/** Where a rule speaks of paths, there must be one way only to write a path (and the program must see that one). */
export const PATHS_NORMALISED = settingsWith({
  normalize_path: { value: true },
  merge_slashes: true,
  path_with_escaped_slashes_action: HttpConnectionManager.PathWithEscapedSlashesAction.REJECT_REQUEST,
});

/** A connection manager that finds its routes as `routing` says, with `filters` and `settings`. */
export const httpConnectionManager = (
  routing: Pick<Manager, 'stat_prefix' | 'rds' | 'route_config'>,
  filters: Uint8Array = ROUTER_ALONE,
  settings: Uint8Array = PATHS_AS_THEY_COME,
): google.protobuf.IAny =>
  encodedAny(HttpConnectionManager, joined(encode(HttpConnectionManager, routing), filters, settings));
