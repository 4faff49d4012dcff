/** Whom a compiled listener lets in, read from its bytes and nothing else: for what no change may ever widen. */
import { envoy, type google } from '../../src/proto/messages.js';
import type { Mesh } from '../../src/model/mesh.js';
import { compile } from '../../src/compile/compile.js';
import { TYPES } from '../../src/compile/resource.js';

const { Listener } = envoy.config.listener.v3;
const { RBAC: Rbac } = envoy.config.rbac.v3;
const { RBAC: Filter } = envoy.extensions.filters.http.rbac.v3;
const { RBAC: NetworkFilter } = envoy.extensions.filters.network.rbac.v3;
const { HttpConnectionManager } = envoy.extensions.filters.network.http_connection_manager.v3;

/** A call as a guard sees it. */
export interface Attempt {
  /** Absent: it comes in plaintext. */
  readonly identity?: string;
  readonly address: string;
  readonly method: string;
  readonly path: string;
}

/** The calls that reach each program of `mesh`, out of `attempts`: the name of its listener and the number of the attempt. */
export function admissions(mesh: Mesh, attempts: readonly Attempt[]): Set<string> {
  return new Set(
    doorsOf(mesh).flatMap(({ name, listener }) =>
      attempts.flatMap((attempt, at) => (admits(listener, attempt) ? `${name} ${at}` : [])),
    ),
  );
}

/** The names of the listeners by which bytes come in. */
export const carryingBytes = (mesh: Mesh): Set<string> =>
  new Set(
    doorsOf(mesh).flatMap(({ name, listener }) => {
      const filters = listener.filter_chains?.[0]?.filters ?? [];
      return filters.some((filter) => filter.name === 'envoy.filters.network.tcp_proxy') ? name : [];
    }),
  );

const doorsOf = (mesh: Mesh) =>
  [...(compile(mesh).resources.get(TYPES.listener)?.values() ?? [])]
    .filter(({ name }) => name.startsWith('inbound/'))
    .map(({ name, bytes }) => ({ name, listener: Listener.decode(bytes) }));

function admits(listener: envoy.config.listener.v3.IListener, attempt: Attempt): boolean {
  const transport = attempt.identity === undefined ? 'raw_buffer' : 'tls';
  const chain = listener.filter_chains?.find((one) => one.filter_chain_match?.transport_protocol === transport);
  if (!chain?.filters?.[0]) return false;
  return guardsOf(chain.filters).every((rules) => {
    if (!rules) return true;
    const some = Object.values(rules.policies ?? {}).some(
      ({ principals, permissions }) =>
        principals?.some((who) => isWho(who, attempt)) && permissions?.some((what) => isWhat(what, attempt)),
    );
    return rules.action === Rbac.Action.DENY ? !some : some;
  });
}

/** The rules of its RBAC filters: of a manager of requests, or of connections. */
function guardsOf(filters: readonly envoy.config.listener.v3.IFilter[]) {
  const value = ({ typed_config }: { typed_config?: google.protobuf.IAny | null }) =>
    typed_config?.value ?? new Uint8Array();
  const ofConnections = filters.filter(({ name }) => name?.startsWith('envoy.filters.network.rbac.'));
  if (ofConnections.length > 0) return ofConnections.map((filter) => NetworkFilter.decode(value(filter)).rules);
  const ofRequests = HttpConnectionManager.decode(value(filters[0] ?? {})).http_filters ?? [];
  return ofRequests
    .filter(({ name }) => name?.startsWith('envoy.filters.http.rbac.'))
    .map((filter) => Filter.decode(value(filter)).rules);
}

function isWho(who: envoy.config.rbac.v3.IPrincipal, attempt: Attempt): boolean {
  if (who.any) return true;
  if (who.not_id) return !isWho(who.not_id, attempt);
  if (who.and_ids) return who.and_ids.ids?.every((one) => isWho(one, attempt)) ?? true;
  if (who.direct_remote_ip) return isWithin(attempt.address, who.direct_remote_ip);
  if (!who.authenticated) throw new Error(`a principal that this does not know: ${JSON.stringify(who)}`);
  const { identity } = attempt;
  const { principal_name: name } = who.authenticated;
  if (identity === undefined || !name) return identity !== undefined;
  return isText(name, identity);
}

function isWhat(what: envoy.config.rbac.v3.IPermission, attempt: Attempt): boolean {
  if (what.any) return true;
  if (what.not_rule) return !isWhat(what.not_rule, attempt);
  if (what.and_rules) return what.and_rules.rules?.every((one) => isWhat(one, attempt)) ?? true;
  if (what.or_rules) return what.or_rules.rules?.some((one) => isWhat(one, attempt)) ?? false;
  if (what.url_path) return isText(what.url_path.path ?? {}, attempt.path);
  if (what.header?.name === ':method') return isText(what.header.string_match ?? {}, attempt.method);
  throw new Error(`a permission that this does not know: ${JSON.stringify(what)}`);
}

const isText = ({ exact, prefix }: { exact?: string | null; prefix?: string | null }, text: string): boolean =>
  typeof prefix === 'string' && prefix !== '' ? text.startsWith(prefix) : text === exact;

/** Networks of whole bytes are enough here. */
const isWithin = (address: string, { address_prefix, prefix_len }: envoy.config.core.v3.ICidrRange): boolean => {
  const bytes = (prefix_len?.value ?? 0) / 8;
  const head = (text: string): string => text.split('.').slice(0, bytes).join('.');
  return !address.includes(':') && !address_prefix?.includes(':') && head(address) === head(address_prefix ?? '');
};
