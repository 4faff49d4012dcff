/**
 * The connections that a port has room for. Who has proven nothing has a place among the strangers only, and makes room for
 * later ones when those are too many; so nobody can shut the door by standing in it, and members have places of their own.
 */
import type { Limits } from './limits.js';

/** The place of one connection. */
export interface Place {
  /** Proves that this is the sidecar `key`. False: it has too many connections already, or all places are taken. */
  prove(key: string): boolean;
  /** Whatever was held is free again. */
  leave(): void;
}

interface Stranger {
  readonly address: string;
  readonly putOut: () => void;
}

type Bounds = Pick<Limits, 'strangers' | 'strangersPerAddress' | 'members' | 'connectionsPerMember'>;

export class Places {
  /** In the order in which they came. */
  private readonly strangers = new Set<Stranger>();
  private readonly perAddress = new Map<string, number>();
  private readonly perMember = new Map<string, number>();
  private members = 0;

  constructor(private readonly bounds: Bounds) {}

  /** How many there are, for whoever watches. */
  get taken(): { readonly strangers: number; readonly members: number } {
    return { strangers: this.strangers.size, members: this.members };
  }

  /** Gives a place to a newcomer, if need be that of the stranger who has been there for longest; `putOut` ends its connection. */
  enter(address: string, putOut: () => void): Place {
    const { strangers, strangersPerAddress } = this.bounds;
    if ((this.perAddress.get(address) ?? 0) >= strangersPerAddress) this.makeRoom((other) => other.address === address);
    if (this.strangers.size >= strangers) this.makeRoom(() => true);
    const stranger: Stranger = { address, putOut };
    this.strangers.add(stranger);
    count(this.perAddress, address, 1);
    let member: string | undefined;
    return {
      prove: (key) => {
        if (!this.strangers.has(stranger)) return false;
        if (this.members >= this.bounds.members) return false;
        if ((this.perMember.get(key) ?? 0) >= this.bounds.connectionsPerMember) return false;
        this.forget(stranger);
        member = key;
        this.members += 1;
        count(this.perMember, key, 1);
        return true;
      },
      leave: () => {
        this.forget(stranger);
        if (member === undefined) return;
        this.members -= 1;
        count(this.perMember, member, -1);
        member = undefined;
      },
    };
  }

  private makeRoom(who: (stranger: Stranger) => boolean): void {
    for (const stranger of this.strangers) {
      if (!who(stranger)) continue;
      this.forget(stranger);
      stranger.putOut();
      return;
    }
  }

  private forget(stranger: Stranger): void {
    if (this.strangers.delete(stranger)) count(this.perAddress, stranger.address, -1);
  }
}

function count(counts: Map<string, number>, key: string, by: number): void {
  const now = (counts.get(key) ?? 0) + by;
  if (now > 0) counts.set(key, now);
  else counts.delete(key);
}
