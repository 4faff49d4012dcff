/** A log in which each of those outside can have only so much written: who goes on has it said now and then how much was left out. */
import { Rates } from './rates.js';

export interface Log {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}

/** How many lines one of them may cause at once, and how long one takes to come back, in milliseconds. */
const LINES = 20;
const LINE_EVERY_MS = 5_000;
/** Of so many it is known how much was left out. */
const MAX_COUNTED = 1_000;

export class LimitedLog {
  private readonly rates = new Rates(LINES, LINE_EVERY_MS);
  private readonly leftOut = new Map<string, number>();

  constructor(
    private readonly log: Log,
    private readonly clock: () => number = () => performance.now(),
  ) {}

  /** Writes a line that `who` is the cause of, if there is one left for it. */
  info(who: string, fields: object, message: string): void {
    this.say('info', who, fields, message);
  }

  warn(who: string, fields: object, message: string): void {
    this.say('warn', who, fields, message);
  }

  private say(level: keyof Log, who: string, fields: object, message: string): void {
    const leftOut = this.leftOut.get(who) ?? 0;
    this.leftOut.delete(who);
    if (this.rates.take(who, this.clock())) {
      this.log[level]({ ...fields, ...(leftOut > 0 && { linesLeftOut: leftOut }) }, message);
      return;
    }
    this.leftOut.set(who, leftOut + 1);
    const [oldest] = this.leftOut.keys();
    if (this.leftOut.size > MAX_COUNTED && oldest !== undefined) this.leftOut.delete(oldest);
  }
}
