/** The small names of the mesh (DNS labels, label maps, SPIFFE ids, references), parsed once and then trusted. */

/** The namespace of the control plane itself. Nothing else can be in it, or it could pass for the control plane. */
export const RESERVED_NAMESPACE = 'sluice';

/** One label of a DNS name (RFC 1123 §2.1): what every object and namespace is called. */
const DNS_LABEL = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;

/** Says whether `text` is a DNS label: at most 63 of a-z, 0-9 and "-", beginning and ending with a letter or digit. */
export const isDnsLabel = (text: string): boolean => DNS_LABEL.test(text);

/** The name of a port, as the registry of services has them (RFC 6335 §5.1) and Kubernetes takes them. */
export const MAX_PORT_NAME = 15;
export const PORT_NAME = /^(?=[a-z0-9-]*[a-z])[a-z0-9]+(-[a-z0-9]+)*$/;

/** Says whether `text` may name a port: at most 15 of a-z, 0-9 and single "-" between them, with a letter among them. */
export const isPortName = (text: string): boolean => text.length <= MAX_PORT_NAME && PORT_NAME.test(text);

/** Key/value marks on an object. Sorted by key wherever they are written out. */
export type Labels = Readonly<Record<string, string>>;

/** The label that `sluice run --service NAME` puts on a workload, and that a Service without a selector looks for. */
export const SERVICE_LABEL = 'sluice.mesh/service';

/** The label that says in whose set of documents an object is. */
export const OWNER_LABEL = 'sluice.mesh/owner';

export const LABEL_KEY = /^([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?\/)?[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$/;
const LABEL_VALUE = /^([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?$/;

/** Says whether `key` may name a label: an optional DNS prefix and "/", then at most 63 letters, digits, "-", "_", ".". */
export const isLabelKey = (key: string): boolean => LABEL_KEY.test(key);

/** Says whether `value` may be a label's value: at most 63 letters, digits, "-", "_", ".". */
export const isLabelValue = (value: string): boolean => LABEL_VALUE.test(value);

/** Says whether `labels` carry everything that `selector` asks for. An empty selector selects everything. */
export const selects = (selector: Labels, labels: Labels): boolean =>
  Object.entries(selector).every(([key, value]) => labels[key] === value);

/** The name of a trust domain: a lower-case DNS name (SPIFFE-ID §2.1, narrowed to what a host name may be). */
export const isTrustDomain = (text: string): boolean => text.length <= 255 && text.split('.').every(isDnsLabel);

/** Who a workload is: `spiffe://<trust domain>/ns/<namespace>/sa/<account>`. Only `parseSpiffeId` makes one. */
export type SpiffeId = string & { readonly __brand: 'SpiffeId' };

export interface SpiffeIdParts {
  readonly trustDomain: string;
  readonly namespace: string;
  readonly account: string;
}

/** Writes a SPIFFE id from its parts. */
export const spiffeId = ({ trustDomain, namespace, account }: SpiffeIdParts): SpiffeId =>
  `spiffe://${trustDomain}/ns/${namespace}/sa/${account}` as SpiffeId;

/** Reads a SPIFFE id of the mesh's one shape; anything else, valid SPIFFE or not, gives undefined. */
export function parseSpiffeId(text: string): SpiffeIdParts | undefined {
  const [, trustDomain, namespace, account] = /^spiffe:\/\/([^/]+)\/ns\/([^/]+)\/sa\/([^/]+)$/.exec(text) ?? [];
  if (trustDomain === undefined || namespace === undefined || account === undefined) return undefined;
  if (!isTrustDomain(trustDomain) || !isDnsLabel(namespace) || !isDnsLabel(account)) return undefined;
  return { trustDomain, namespace, account };
}

/** Orders names the way every list and every compiled resource is ordered: by code unit, never by locale. */
export const byName = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
