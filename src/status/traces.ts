/** What is known of sidecars that have no stream: when they were last heard of, and what they had then. By enrolment. */
import type { Client, Names } from '../stream/client.js';

export interface Trace {
  readonly at: number;
  /** It was heard of in another way than over a stream since it had one. */
  readonly hasSpoken?: boolean;
  /** As its last stream left it. Absent: that did not come to say what it wants. */
  readonly client?: Client;
  /** As the last stream left it on which it said what it wants. */
  readonly earlier?: Client;
}

export class Traces {
  private readonly traces = new Map<string, Trace>();

  get(enrolment: string): Trace | undefined {
    return this.traces.get(enrolment);
  }

  /** Those of whom it is known what they had, on the last stream that they said it on. */
  *clients(): Generator<readonly [enrolment: string, client: Client]> {
    for (const [enrolment, { earlier }] of this.traces) if (earlier) yield [enrolment, earlier];
  }

  /** Notes that the stream of `client` has ended. */
  left(enrolment: string, at: number, client: Client): void {
    const earlier = client.isIntroduced ? client : client.before;
    this.traces.set(enrolment, { at, ...(client.isIntroduced && { client }), ...(earlier && { earlier }) });
  }

  /** Notes that it was heard of in another way; false if it was since it had a stream, for then that changes nothing. */
  heard(enrolment: string, at: number): boolean {
    const trace = this.traces.get(enrolment);
    if (trace?.hasSpoken) return false;
    this.traces.set(enrolment, { ...trace, at, hasSpoken: true });
    return true;
  }

  /** Notes what went out of the world at `sequence`: nobody tells them. */
  missed(gone: Names, sequence: number): void {
    for (const { earlier } of this.traces.values()) earlier?.miss(gone, sequence);
  }

  forget(enrolment: string): void {
    this.traces.delete(enrolment);
  }

  /** Forgets all but those that `isListed`. */
  keepOnly(isListed: (enrolment: string) => boolean): void {
    for (const enrolment of this.traces.keys()) if (!isListed(enrolment)) this.traces.delete(enrolment);
  }
}
