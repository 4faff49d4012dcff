/** What a sidecar may be told: what concerns itself, and what it calls by name. Pure. */
import { guards, isInbound } from '../compile/resource-names.js';

/**
 * Whether the sidecar of the workload `id` may have the resource `name`, asked for in whatever way. Of listeners for
 * workloads it may have its own: those of others say who may call them. All else is for callers, who must know a name to
 * get what it stands for.
 */
export const mayHave = (id: string, name: string): boolean => !isInbound(name) || guards(name, id);
