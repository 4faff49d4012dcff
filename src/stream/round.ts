/** What a round is made of: what is new for a client, and what it must give up. Pure decisions about one type. */
import { TYPES, type Resource, type TypeUrl } from '../compile/resource.js';
import type { ResourceTable } from '../compile/table.js';
import type { Queue, TypeState } from './type-state.js';

/** What the client is to be sent of `names`, which there is news of. */
export function additionsOf(type: TypeUrl, state: TypeState, names: Iterable<string>, table: ResourceTable): Queue {
  const resources: Resource[] = [];
  const absent: string[] = [];
  for (const name of names) {
    if (!state.subscription.covers(name)) continue;
    const resource = table.get(type, name);
    if (!resource) {
      if (mustLearnOfAbsence(state, name)) absent.push(name);
      continue;
    }
    state.gone.delete(name);
    if (state.news.get(name) === 'owed' || isNew(state, resource)) resources.push(resource);
  }
  return { resources, absent };
}

/** What it holds is taken away when its turn comes; of what it has nothing of, it is told that there is none. */
const mustLearnOfAbsence = ({ subscription, news, refused, inFlight }: TypeState, name: string): boolean =>
  !subscription.held(name) &&
  (news.get(name) === 'owed' || refused.has(name) || inFlight?.carries.get(name) !== undefined);

function isNew(state: TypeState, resource: Resource): boolean {
  const { inFlight, refused } = state;
  const { name, version } = resource;
  if (inFlight?.carries.has(name)) {
    if (inFlight.carries.get(name)?.version !== version) return true;
    // The same again: its acknowledgement will stand for this one.
    inFlight.carries.set(name, resource);
    return false;
  }
  return refused.get(name)?.version !== version && !state.hasAlready(resource);
}

/** What the client holds, and what had gone out of the world by `sequence`, even if it has come back since as another one. */
export const removalsOf = ({ gone }: TypeState, sequence: number): string[] =>
  [...gone].filter(([, since]) => since <= sequence).map(([name]) => name);

/** Which types must have nothing left to say before one of these may be answered aside: those that it leads to. */
export const NEEDS: Readonly<Record<TypeUrl, readonly TypeUrl[]>> = {
  [TYPES.cluster]: [],
  [TYPES.endpoints]: [],
  [TYPES.listener]: [TYPES.cluster, TYPES.endpoints],
  [TYPES.route]: [TYPES.cluster, TYPES.endpoints],
};
