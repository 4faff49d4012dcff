/** The network filters of what passes as bytes, in xDS words. */
import { envoy } from '../proto/messages.js';
import { any } from './encoding.js';

const { TcpProxy } = envoy.extensions.filters.network.tcp_proxy.v3;
const { Config: DirectResponse } = envoy.extensions.filters.network.direct_response.v3;

type Filter = envoy.config.listener.v3.IFilter;
type Proxy = envoy.extensions.filters.network.tcp_proxy.v3.ITcpProxy;

/** How long nothing may move on a connection before it is given up, in seconds. Envoy's default, said aloud. */
const IDLE_TIMEOUT_S = 3_600;

/** Passes bytes on to where `destination` says. */
export const tcpProxy = (
  stat_prefix: string,
  destination: Pick<Proxy, 'cluster'> | Pick<Proxy, 'weighted_clusters'>,
): Filter => ({
  name: 'envoy.filters.network.tcp_proxy',
  typed_config: any(TcpProxy, { stat_prefix, ...destination, idle_timeout: { seconds: IDLE_TIMEOUT_S } }),
});

/** Closes every connection: there is nowhere to go. */
export const CLOSE: Filter = {
  name: 'envoy.filters.network.direct_response',
  typed_config: any(DirectResponse, {}),
};
