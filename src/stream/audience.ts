/** Who is to hear of a name: from what changed to the sessions that it concerns, without a look at the others. */
export class Audience<Listener> {
  private readonly byName = new Map<string, Set<Listener>>();
  private readonly toAll = new Set<Listener>();

  join(name: string, listener: Listener): void {
    const listeners = this.byName.get(name);
    if (listeners) listeners.add(listener);
    else this.byName.set(name, new Set([listener]));
  }

  leave(name: string, listener: Listener): void {
    const listeners = this.byName.get(name);
    if (listeners?.delete(listener) && listeners.size === 0) this.byName.delete(name);
  }

  joinAll(listener: Listener): void {
    this.toAll.add(listener);
  }

  leaveAll(listener: Listener): void {
    this.toAll.delete(listener);
  }

  /** Those who asked for `name`. */
  of(name: string): Iterable<Listener> {
    return this.byName.get(name) ?? [];
  }

  /** Those who asked for everything. */
  get ofAll(): Iterable<Listener> {
    return this.toAll;
  }
}
