/** Which resources of one type a client wants: by name, or all there are (xDS delta rules on wildcards). */

export const WILDCARD = '*';

export interface Subscription {
  readonly names: ReadonlySet<string>;
  readonly wildcard: boolean;
}

export const NOTHING: Subscription = { names: new Set(), wildcard: false };

export interface SubscriptionChange {
  readonly subscription: Subscription;
  /** Names that must be answered whatever was sent before: newly asked for, asked for again, or left to the wildcard. */
  readonly answer: readonly string[];
  /** Names that the client drops without being told. */
  readonly dropped: readonly string[];
}

/**
 * What a request makes of a subscription. `first`: it is the first of its type on the stream, where empty lists ask for
 * everything (the legacy wildcard). Unsubscriptions are applied after subscriptions, so that `*` in both asks for nothing.
 */
export function subscribe(
  { names, wildcard }: Subscription,
  request: { readonly subscribe: readonly string[]; readonly unsubscribe: readonly string[] },
  first: boolean,
): SubscriptionChange {
  if (first && request.subscribe.length === 0 && request.unsubscribe.length === 0) {
    return { subscription: { names, wildcard: true }, answer: [], dropped: [] };
  }
  const next = new Set(names);
  const asked = request.subscribe.filter((name) => name !== WILDCARD);
  for (const name of asked) next.add(name);
  const gone = request.unsubscribe.filter((name) => name !== WILDCARD && next.delete(name));
  const isWildcard = (wildcard || request.subscribe.includes(WILDCARD)) && !request.unsubscribe.includes(WILDCARD);
  return {
    subscription: { names: next, wildcard: isWildcard },
    answer: [...asked.filter((name) => next.has(name)), ...(isWildcard ? gone : [])],
    dropped: isWildcard ? [] : gone,
  };
}

/** Says whether `subscription` covers `name`. */
export const covers = ({ names, wildcard }: Subscription, name: string): boolean => wildcard || names.has(name);
