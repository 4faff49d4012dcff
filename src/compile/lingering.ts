/**
 * Who may answer for a cluster, kept for as long as a proxy may still call them: to accept somebody less is to remove
 * something, and waits for the proof that nobody uses it (make before break).
 */

/** Stands among the identities of a cluster for the workloads that are called without TLS. No SPIFFE id is written so. */
export const PLAINTEXT = 'plaintext';

/** More than this many do not linger at one cluster: whoever went first goes first. */
const MAX_LINGERING = 1_000;

interface Cluster {
  readonly service: string;
  accepted: readonly string[];
  /** Who is not accepted any more, and since which sequence. */
  readonly gone: Map<string, number>;
}

export class Lingering {
  private readonly clusters = new Map<string, Cluster>();
  /** Clusters at which somebody lingers. */
  private readonly wide = new Set<string>();

  /**
   * Notes who is accepted at a cluster of `service` (by its key) in the state `sequence`: nobody when it is no more.
   * Gives them and whoever lingers there, in order.
   */
  note(service: string, cluster: string, accepted: readonly string[], sequence: number): readonly string[] {
    const known = this.clusters.get(cluster) ?? { service, accepted: [], gone: new Map<string, number>() };
    const { gone } = known;
    for (const who of known.accepted) if (!accepted.includes(who)) gone.set(who, sequence);
    for (const who of accepted) gone.delete(who);
    for (const who of gone.keys()) if (gone.size > MAX_LINGERING) gone.delete(who);
    known.accepted = accepted;
    this.clusters.set(cluster, known);
    if (gone.size > 0) this.wide.add(cluster);
    else this.close(cluster, known);
    return gone.size > 0 ? [...accepted, ...gone.keys()].sort() : accepted;
  }

  /** Gives what puts back what is noted of a cluster now. */
  keep(cluster: string): () => void {
    const [known, isWide] = [this.clusters.get(cluster), this.wide.has(cluster)];
    const before = known && { ...known, gone: new Map(known.gone) };
    return () => {
      if (before) this.clusters.set(cluster, before);
      else this.clusters.delete(cluster);
      if (isWide) this.wide.add(cluster);
      else this.wide.delete(cluster);
    };
  }

  /**
   * Lets those go who went at a cluster in the state that is proven of it (see `Compiler.settle`), or before. Gives the
   * services (by their keys) that accept fewer now.
   */
  settle(provenOf: (cluster: string) => number): Set<string> {
    const narrower = new Set<string>();
    for (const name of this.wide) {
      const cluster = this.clusters.get(name);
      if (!cluster) continue;
      const proven = provenOf(name);
      for (const [who, since] of cluster.gone) {
        if (since > proven) continue;
        cluster.gone.delete(who);
        narrower.add(cluster.service);
      }
      if (cluster.gone.size === 0) this.close(name, cluster);
    }
    return narrower;
  }

  private close(name: string, cluster: Cluster): void {
    this.wide.delete(name);
    if (cluster.accepted.length === 0) this.clusters.delete(name);
  }
}
