/** What compiled resources are called. A name in a log line or a statistic leads back to the object it came from. */
import type { Ref } from '../model/document.js';

/** The listener, route table, cluster and endpoints of a service's port all bear this name, which callers use as well. */
export const serviceName = (service: { readonly namespace: string; readonly name: string }, port: number): string =>
  `${service.name}.${service.namespace}:${port}`;

const INBOUND = 'inbound/';

/** The listener that guards a workload (by its key). */
export const inboundName = (workload: string): string => `${INBOUND}${workload}`;

/** The key of the workload that a listener guards; undefined for one that guards none. */
export const workloadOf = (listener: string): string | undefined =>
  listener.startsWith(INBOUND) ? listener.slice(INBOUND.length) : undefined;

/** A rule as verdicts name it: the policy and the place of the rule in it, counted from 0. */
export const ruleName = (policy: Pick<Ref, 'namespace' | 'name'>, index: number): string =>
  `${policy.namespace}/${policy.name}/${index}`;

/** The rule that stands for the default mode of the mesh. No policy can be called so: a policy's rule has two slashes. */
export const defaultRuleName = (mode: string): string => `default/${mode}`;
