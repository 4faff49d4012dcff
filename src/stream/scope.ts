/** What a sidecar may be told: what concerns itself, and what it calls by name. Pure. */

/** The prefix of the listeners that a sidecar has for its own workload; what follows is `namespace/name`. */
const INBOUND = 'inbound/';

/**
 * Whether the sidecar of the workload `id` may have the resource `name`, asked for in whatever way. Of listeners for
 * workloads it may have its own: those of others say who may call them. All else is for callers, who must know a name to
 * get what it stands for.
 */
export const mayHave = (id: string, name: string): boolean => !name.startsWith(INBOUND) || name === INBOUND + id;
