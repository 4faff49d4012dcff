/**
 * Those who have come to a port and wait to be let in. A fleet that comes back comes all at once, and a handshake is the dearest
 * thing that a connection ever asks for: a few begin theirs in each turn of the event loop, and whoever else wants something
 * (an operator, a stream that is there already) has a turn of its own in between. Nobody holds up those behind by being slow.
 */
import type { Socket } from 'node:net';

/** How many begin their handshake in one turn of the event loop. */
const EACH_TURN = 8;

interface Newcomer {
  readonly destroyed: boolean;
  destroy(): unknown;
}

export class Arrivals<Who extends Newcomer = Socket> {
  /** In the order in which they came. */
  private readonly waiting = new Set<Who>();
  private turn: NodeJS.Immediate | undefined;

  constructor(private readonly letIn: (newcomer: Who) => void) {}

  add(newcomer: Who): void {
    this.waiting.add(newcomer);
    this.turn ??= setImmediate(() => this.take());
  }

  /** Sends everybody away who still waits. */
  close(): void {
    clearImmediate(this.turn);
    this.turn = undefined;
    for (const newcomer of this.waiting) newcomer.destroy();
    this.waiting.clear();
  }

  private take(): void {
    this.turn = undefined;
    let left = EACH_TURN;
    for (const newcomer of this.waiting) {
      if (left === 0) break;
      this.waiting.delete(newcomer);
      // It may have gone, or made room for somebody else.
      if (newcomer.destroyed) continue;
      left -= 1;
      this.letIn(newcomer);
    }
    if (this.waiting.size > 0) this.turn ??= setImmediate(() => this.take());
  }
}
