/** Who may do what to which workloads. */
import { OWN_API, type Document } from './document.js';
import { pointer } from './fault.js';
import type { KindDefinition } from './kinds.js';
import { SERVICE_LABEL, parseSpiffeId, selects, type Labels } from './names.js';
import { standsBehind, type Service } from './service.js';
import type { Workload } from './workload.js';

/** The workloads that a policy protects: behind a service of its namespace, by labels in it, all of it, or the mesh. */
export type Target = { readonly service: string } | { readonly labels: Labels } | { readonly scope: Scope };

export const SCOPES = ['Namespace', 'Mesh'] as const;
export type Scope = (typeof SCOPES)[number];

export const ACTIONS = ['Allow', 'Deny'] as const;
export type Action = (typeof ACTIONS)[number];

/** Enforce: it decides. Audit: it is evaluated and counted, and decides nothing. */
export const MODES = ['Enforce', 'Audit'] as const;
export type Mode = (typeof MODES)[number];

/** Whoever proved an identity of this mesh, or really everyone, plaintext callers included. */
export const ANYONE = ['Authenticated', 'Everyone'] as const;
export type Anyone = (typeof ANYONE)[number];

/** One way of naming callers. A rule lists several; any of them will do. */
export type Source = { readonly identity: string } | { readonly namespace: string } | { readonly anyone: Anyone };

/** One kind of request: some method of `methods` on some path of `paths` at some port of `ports`. An absent list stands for all. */
export interface Operation {
  readonly methods?: readonly string[];
  /** `/exact` or `/prefix/*`, matched against the normalised path without its query. */
  readonly paths?: readonly string[];
  /** Ports of the workload, as its program listens on them. */
  readonly ports?: readonly number[];
}

export interface Rule {
  /** At least one. */
  readonly from: readonly Source[];
  /** Absent: every request. */
  readonly to?: readonly Operation[];
}

export interface AuthorizationPolicySpec {
  readonly target: Target;
  readonly action: Action;
  readonly mode: Mode;
  readonly rules: readonly Rule[];
}

export type AuthorizationPolicy = Document<'AuthorizationPolicy', AuthorizationPolicySpec>;

/**
 * Says whether `policy` protects `workload`, and how. Whole: as it says. Closed: nobody comes in by it, for it is only a guess
 * that the workload was meant.
 *
 * A policy for a service that does not exist fails closed: it protects what was behind it when it was deleted or, if there
 * never was one, what calls itself part of it; and it closes what could be part of it because it says so, or because it names
 * no service and stands behind none.
 */
export function protection(
  policy: AuthorizationPolicy,
  workload: Workload,
  servicesOfNamespace: readonly Service[],
): 'Whole' | 'Closed' | undefined {
  if (isMeant(policy, workload, servicesOfNamespace)) return 'Whole';
  const { namespace, labels } = workload.metadata;
  const { target } = policy.spec;
  const isLost =
    'service' in target &&
    policy.metadata.namespace === namespace &&
    !servicesOfNamespace.some(({ metadata }) => metadata.name === target.service);
  if (!isLost) return undefined;
  const named = labels[SERVICE_LABEL];
  const couldBeMeant =
    named === undefined
      ? !servicesOfNamespace.some((other) => standsBehind(workload, other))
      : named === target.service;
  return couldBeMeant ? 'Closed' : undefined;
}

/** `policy` as it is for what it closes by a guess: what it denies stays denied, and what it allows does not pass by it. */
export function closedAlone(policy: AuthorizationPolicy): AuthorizationPolicy {
  if (policy.spec.action === 'Deny') return policy;
  const known = withoutRules.get(policy) ?? { ...policy, spec: { ...policy.spec, rules: [] } };
  withoutRules.set(policy, known);
  return known;
}

const withoutRules = new WeakMap<AuthorizationPolicy, AuthorizationPolicy>();

function isMeant(policy: AuthorizationPolicy, workload: Workload, servicesOfNamespace: readonly Service[]): boolean {
  const { target } = policy.spec;
  if ('scope' in target && target.scope === 'Mesh') return true;
  if (policy.metadata.namespace !== workload.metadata.namespace) return false;
  if ('scope' in target) return true;
  if ('labels' in target) return selects(target.labels, workload.metadata.labels);
  const service = servicesOfNamespace.find(({ metadata }) => metadata.name === target.service);
  if (service) return standsBehind(workload, service);
  const { protects: remembered } = policy.metadata;
  if (remembered) return selects(remembered, workload.metadata.labels);
  return workload.metadata.labels[SERVICE_LABEL] === target.service;
}

/** What an identity pattern asks for: exactly one id, or every id that begins so. */
export type IdentityPattern = { readonly exact: string } | { readonly prefix: string };

/**
 * Reads `spiffe://td/ns/shop/sa/web`, `spiffe://td/ns/shop/sa/*`, `spiffe://td/ns/shop/*` or `spiffe://td/*`.
 * Anything else gives undefined: a star stands only for all that follows a "/".
 */
export function parseIdentityPattern(text: string): IdentityPattern | undefined {
  if (parseSpiffeId(text)) return { exact: text };
  if (!text.endsWith('/*')) return undefined;
  const prefix = text.slice(0, -1);
  const completed = [`${prefix}x`, `${prefix}sa/x`, `${prefix}x/sa/x`, `${prefix}ns/x/sa/x`];
  return completed.some((candidate) => parseSpiffeId(candidate)) ? { prefix } : undefined;
}

/** What a path pattern asks for: exactly one path, or every path that begins so. */
export type PathPattern = { readonly exact: string } | { readonly prefix: string };

/**
 * Reads `/exact` or `/prefix/*`. A star anywhere else gives undefined, and so does a path that no request can have:
 * sidecars normalise a path before they match it (RFC 3986 §6.2.2, slashes merged, needless percent-encoding undone).
 */
export function parsePathPattern(text: string): PathPattern | undefined {
  const pattern = text.endsWith('/*') ? { prefix: text.slice(0, -1) } : { exact: text };
  const path = 'prefix' in pattern ? pattern.prefix : pattern.exact;
  const legal = /^(\/([A-Za-z0-9\-._~!$&'()+,;=:@]|%[0-9A-F]{2})*)+$/.test(path);
  const normal = !/\/\/|\/\.{1,2}(\/|$)/.test(path) && !hasNeedlessEscape(path);
  return legal && normal ? pattern : undefined;
}

/** A percent-encoded character that a path may hold plainly (RFC 3986 §3.3 pchar), or that sidecars refuse: "/", "\", NUL. */
const hasNeedlessEscape = (path: string): boolean =>
  [...path.matchAll(/%([0-9A-F]{2})/g)].some(([, hex]) =>
    /[A-Za-z0-9\-._~!$&'()*+,;=:@/\\\0]/.test(String.fromCharCode(parseInt(hex ?? '', 16))),
  );

export const authorizationPolicyKind: KindDefinition<AuthorizationPolicy> = {
  ...OWN_API,
  kind: 'AuthorizationPolicy',
  collection: 'authorization-policies',
  namespaced: true,
  noun: 'authorization policy',
  shortNames: ['policies', 'policy', 'ap'],
  references: ({ metadata: { namespace }, spec: { target } }) =>
    'service' in target
      ? [
          {
            ref: { kind: 'Service', namespace, name: target.service },
            pointer: pointer('spec', 'target', 'service'),
            guards: true,
          },
        ]
      : [],
};
