/** Connections of bytes, as a program beside a sidecar makes them or as anybody would. */
import { connect, type Socket } from 'node:net';

/** How long anything may take, in milliseconds. */
const DEADLINE_MS = 15_000;

/** A connection on which nothing is lost that comes before somebody asks for it. */
export class BytesConnection implements AsyncDisposable {
  /** What a sidecar answered that was asked for a tunnel; 200 without one. */
  status = 200;
  private came = Buffer.alloc(0);
  private over: Error | 'ended' | undefined;
  private wake: () => void = () => undefined;

  constructor(readonly socket: Socket) {
    socket.setTimeout(DEADLINE_MS, () => socket.destroy(new Error(`nothing within ${DEADLINE_MS} ms`)));
    socket.on('data', (part: Buffer) => this.heard(() => (this.came = Buffer.concat([this.came, part]))));
    socket.on('end', () => this.heard(() => (this.over ??= 'ended')));
    socket.on('error', (error: Error) => this.heard(() => (this.over ??= error)));
  }

  say(text: string): void {
    this.socket.write(text);
  }

  /** All up to and with `end`. Throws when the connection is over before. */
  async until(end: string): Promise<string> {
    for (;;) {
      const at = this.came.indexOf(end);
      if (at >= 0) {
        const text = this.came.subarray(0, at + end.length).toString();
        this.came = this.came.subarray(at + end.length);
        return text;
      }
      if (this.over === 'ended') throw new Error(`it ended after ${JSON.stringify(this.came.toString())}`);
      if (this.over) throw this.over;
      await new Promise<void>((resolve) => (this.wake = resolve));
    }
  }

  /** Whether it was reset, once it is over. */
  async wasReset(): Promise<boolean> {
    while (!this.over) await new Promise<void>((resolve) => (this.wake = resolve));
    return this.over !== 'ended' && (this.over as NodeJS.ErrnoException).code === 'ECONNRESET';
  }

  /** Who the echo at the other end is. */
  async who(): Promise<{ readonly workload: string; readonly port: number }> {
    this.say('who\n');
    return JSON.parse(await this.until('\n')) as { workload: string; port: number };
  }

  private heard(note: () => void): void {
    note();
    this.wake();
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.socket.destroy();
    return Promise.resolve();
  }
}

/** To `host:port`. */
export async function directly(place: string): Promise<BytesConnection> {
  const [host = '', port] = place.split(':');
  const socket = connect({ host, port: Number(port) });
  await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('error', reject));
  return new BytesConnection(socket);
}

/** To the service `name` (`db.shop:5432`), by the tunnel of the sidecar at `via`. */
export async function throughTunnel(via: string, name: string): Promise<BytesConnection> {
  const connection = await directly(via);
  connection.say(`CONNECT ${name} HTTP/1.1\r\nHost: ${name}\r\n\r\n`);
  const head = await connection.until('\r\n\r\n');
  connection.status = Number(head.split(' ')[1]);
  return connection;
}
