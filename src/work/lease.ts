/** Who may do the work that only one may do at a time. */

/**
 * A number that becomes larger each time that a lease changes hands. Whoever writes under a lease sends it along, so that
 * one who has lost it without noticing (it was stopped, or cut off) can be told from the one who has it now.
 */
export type Fence = number;

/** The leases of all work there is, by name. With several replicas, the database gives them out. */
export interface Leases {
  /** Takes the lease of `work`, or keeps it; undefined when somebody else has it. */
  acquire(work: string): Promise<Fence | undefined>;
  /** Whether `fence` still is that of whoever holds it. */
  isHeld(work: string, fence: Fence): boolean;
  /** Lets it go, if it is still that one. */
  release(work: string, fence: Fence): void;
}

interface Held {
  readonly fence: Fence;
  readonly holder: string;
}

/** The leases within one process. Each holder has a view of its own of what they share. */
export class ProcessLeases {
  private readonly held = new Map<string, Held>();
  private fences: Fence = 0;

  /** The leases as `holder` sees them. */
  as(holder: string): Leases {
    return {
      acquire: async (work) => {
        const now = this.held.get(work);
        if (now) return now.holder === holder ? now.fence : undefined;
        this.fences += 1;
        this.held.set(work, { fence: this.fences, holder });
        return this.fences;
      },
      isHeld: (work, fence) => this.held.get(work)?.fence === fence,
      release: (work, fence) => {
        if (this.held.get(work)?.fence === fence) this.held.delete(work);
      },
    };
  }
}
