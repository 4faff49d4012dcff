/** Where a resource that another one names is to be fetched: on the same aggregated stream. */
import { envoy } from '../proto/messages.js';

export const fromAds: envoy.config.core.v3.IConfigSource = {
  ads: {},
  resource_api_version: envoy.config.core.v3.ApiVersion.V3,
};
