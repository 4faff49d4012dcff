/** Which workloads are known to be silent, and what came of it: for everybody who wants to see it. */

export class Silence {
  /** Lost, and without calls for it. */
  expired: ReadonlySet<string> = new Set();
  /** Lost, and called all the same, as that many, or all of a service, are silent at once. */
  spared: ReadonlySet<string> = new Set();

  /** Notes how it is from now on. */
  tell({ expired, spared }: { readonly expired: readonly string[]; readonly spared: readonly string[] }): void {
    this.expired = new Set(expired);
    this.spared = new Set(spared);
  }
}
