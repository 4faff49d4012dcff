/** Which identities the workloads of a mesh have, and whether anybody's is such as a rule asks for. */
import { parseIdentityPattern, type Source } from '../model/authorization-policy.js';

/** What a source asks for, as `Identities` knows it; nothing for those that ask for no identity in particular. */
export function askedFor(source: Source, trustDomain: string): string | undefined {
  if ('anyone' in source) return undefined;
  if ('namespace' in source) return `spiffe://${trustDomain}/ns/${source.namespace}/`;
  const pattern = parseIdentityPattern(source.identity);
  if (!pattern) return undefined;
  return 'exact' in pattern ? pattern.exact : pattern.prefix;
}

/** Counts whole identities and all that they begin with, up to each "/": other prefixes no pattern has. */
export class Identities {
  private readonly counts = new Map<string, number>();

  has(asked: string): boolean {
    return this.counts.has(asked);
  }

  /** Gives what nobody had before. */
  add(identity: string): string[] {
    return partsOf(identity).filter((part) => {
      const count = this.counts.get(part) ?? 0;
      this.counts.set(part, count + 1);
      return count === 0;
    });
  }

  /** Gives what nobody has any more. */
  delete(identity: string): string[] {
    return partsOf(identity).filter((part) => {
      const count = this.counts.get(part) ?? 0;
      if (count > 1) this.counts.set(part, count - 1);
      else this.counts.delete(part);
      return count === 1;
    });
  }
}

/** `spiffe://td/ns/shop/sa/web` and, of what it begins with, all from `spiffe://td/` on. */
function partsOf(identity: string): string[] {
  const parts = [identity];
  for (let at = identity.indexOf('/', 'spiffe://'.length); at >= 0; at = identity.indexOf('/', at + 1)) {
    parts.push(identity.slice(0, at + 1));
  }
  return parts;
}
