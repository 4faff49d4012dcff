/** What compiled resources are called. A name in a log line or a statistic leads back to the object it came from. */
import type { Ref } from '../model/document.js';

/** The listener, route table, cluster and endpoints of a service's port all bear this name, which callers use as well. */
export const serviceName = (service: { readonly namespace: string; readonly name: string }, port: number): string =>
  `${service.name}.${service.namespace}:${port}`;

const INBOUND = 'inbound/';

/** The listener that guards a port of a workload (by its key). */
export const inboundName = (workload: string, port: number): string => `${INBOUND}${workload}:${port}`;

/** Says whether a listener guards a workload, whichever. */
export const isInbound = (listener: string): boolean => listener.startsWith(INBOUND);

/** Says whether a listener guards a port of that workload. */
export const guards = (listener: string, workload: string): boolean =>
  listener.startsWith(`${INBOUND}${workload}:`) &&
  /^[0-9]+$/.test(listener.slice(INBOUND.length + workload.length + 1));

/** A rule as verdicts name it: the policy and the place of the rule in it, counted from 0. */
export const ruleName = (policy: Pick<Ref, 'namespace' | 'name'>, index: number): string =>
  `${policy.namespace}/${policy.name}/${index}`;

/** The rule that stands for the default mode of the mesh. No policy can be called so: a policy's rule has two slashes. */
export const defaultRuleName = (mode: string): string => `default/${mode}`;
