/** How long a connection lasts, by a clock that the test holds: its age, its rest, its certificate, and whether somebody is there. */
import { once } from 'node:events';
import type { ClientHttp2Session } from 'node:http2';
import { connect as connectTcp } from 'node:net';
import { connect as connectTls, type ConnectionOptions } from 'node:tls';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { ECHO, HeldTicks, PortBench, TRUST_DOMAIN, ask, silent, stream } from '../../test/support/port-bench.js';
import { joinLimits, memberLimits } from './limits.js';

const UNAVAILABLE = 14;
const HOUR_MS = 3_600_000;

let bench: PortBench;
let ticks: HeldTicks;
beforeAll(async () => {
  bench = await PortBench.create();
});
beforeEach(() => {
  ticks = new HeldTicks();
});
afterAll(() => bench.remove());
afterEach(() => bench.clear());

/** A stream over `http2` that has said one word, and how it ends. */
function open(http2: ClientHttp2Session, path: string) {
  const request = http2.request({ ...ECHO, ':path': path });
  request.on('error', () => undefined).resume();
  request.write(Buffer.from([0, 0, 0, 0, 1, 97]));
  const ended = new Promise<Record<string, unknown>>((resolve) => request.on('trailers', resolve));
  return { request, ended };
}

describe('a connection', () => {
  it('ends when its certificate does, by the time of day, and no earlier', async () => {
    const method = silent();
    const limits = { members: 4, connectionsPerMember: 4 };
    const { number } = await bench.serve(limits, [method], { ticks, trustDomain: TRUST_DOMAIN });
    const { key, cert, notAfter } = await bench.member();
    const http2 = bench.session(number, { key, cert });
    const { request, ended } = open(http2, method.path);
    const server = await method.stream;
    await method.heard;
    ticks.setWall(notAfter.getTime() - 2_000);
    server.write([Buffer.from('still there')]);
    await once(request, 'data');
    ticks.setWall(notAfter.getTime());
    expect(await ended).toMatchObject({
      'grpc-status': String(UNAVAILABLE),
      'grpc-message': expect.stringContaining('the certificate of this connection has ended') as string,
    });
    await once(http2, 'close');
  });

  it('becomes only so old; whoever called it calls again and is served by another', async () => {
    const method = silent();
    const { port, number } = await bench.serve({ ageMs: 60_000, idleMs: HOUR_MS }, [method], { ticks });
    const client = bench.client(number);
    const { ended } = stream(client, method.path);
    await method.heard;
    let state = 'open';
    void ended.then(() => (state = 'over'));
    // Chance takes a tenth off at most.
    for (let second = 5; second < 54; second += 5) {
      ticks.pass(5);
      expect(await ask(client, 'and now?')).toBe('and now?');
    }
    expect(state).toBe('open');
    // No faster than its client hears of it: it has 5 seconds for that.
    for (let second = 0; second < 10 && state === 'open'; second += 1) {
      ticks.pass(1);
      expect(await ask(client, 'still?')).toBe('still?');
    }
    expect(await ended).toMatchObject({ code: UNAVAILABLE, details: expect.stringContaining('old enough') as string });
    expect(await ask(client, 'hello')).toBe('hello');
    expect(port.taken.strangers).toBeLessThanOrEqual(2);
  });

  it('on which nobody calls is ended; one with a stream is not, however little is said there', async () => {
    const method = silent();
    const { number } = await bench.serve({ idleMs: 10_000, ageMs: HOUR_MS }, [method], { ticks });
    const [idle, used] = [bench.session(number), bench.session(number)];
    const { request } = open(used, method.path);
    const server = await method.stream;
    await method.heard;
    const echo = open(idle, ECHO[':path']);
    echo.request.end();
    await once(echo.request, 'close');
    const gone = once(idle, 'close');
    ticks.pass(9);
    expect(idle.closed).toBe(false);
    ticks.pass(2);
    await gone;
    server.write([Buffer.from('still there')]);
    await once(request, 'data');
    expect(used.closed).toBe(false);
  });
});

describe('who is at the other end', () => {
  const HTTP2 = Buffer.concat([
    Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
    Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]),
  ]);
  const PING = 6;

  it('is asked when nothing has come for ten seconds, and let go when nothing comes for ten more', async () => {
    const { number } = await bench.serve({ idleMs: HOUR_MS }, [], { ticks });
    const dead = connectTls({
      port: number,
      host: '127.0.0.1',
      servername: 'localhost',
      ca: bench.material.ca,
      ALPNProtocols: ['h2'],
    });
    bench.later({ close: () => dead.destroy() });
    dead.write(HTTP2);
    // Its own settings: it takes the connection for one.
    await once(dead, 'data');
    // The first look finds that something has come.
    ticks.pass(1 + 10);
    let heard = Buffer.alloc(0);
    while (heard.at(-17 + 3) !== PING) {
      const [piece] = (await once(dead, 'data')) as [Buffer];
      heard = Buffer.concat([heard, piece]);
    }
    const gone = once(dead, 'close');
    ticks.pass(10);
    await gone;
  });

  it('may be silent for as long as it answers', async () => {
    const method = silent();
    const { number } = await bench.serve({ idleMs: HOUR_MS, ageMs: HOUR_MS }, [method], { ticks });
    const living = bench.session(number);
    const { request } = open(living, method.path);
    const server = await method.stream;
    await method.heard;
    for (let round = 0; round < 3; round += 1) {
      const asked = once(living, 'ping');
      ticks.pass(1 + 10);
      await asked;
      // What was answered is there when another has been heard.
      expect(await ask(bench.client(number), 'hello')).toBe('hello');
    }
    server.write([Buffer.from('still there')]);
    await once(request, 'data');
  });
});

describe('the door', () => {
  /** What becomes of a caller who shakes hands like that. */
  const outcome = async (number: number, options: ConnectionOptions): Promise<string> => {
    const socket = connectTls({
      port: number,
      host: '127.0.0.1',
      servername: 'localhost',
      ca: bench.material.ca,
      ...options,
    });
    bench.later({ close: () => socket.destroy() });
    return new Promise((resolve) => {
      socket.on('error', ({ message }) => resolve(message)).on('close', () => resolve('closed'));
      socket.on('data', () => resolve('served'));
    });
  };

  it('is for those who speak HTTP/2 and TLS 1.3', async () => {
    const { number } = await bench.serve();
    expect(await outcome(number, { ALPNProtocols: ['http/1.1', 'h2'] })).toBe('served');
    expect(await outcome(number, { ALPNProtocols: ['http/1.1'] })).toMatch(/no application protocol/);
    expect(await outcome(number, {})).toBe('closed');
    expect(await outcome(number, { ALPNProtocols: ['h2'], maxVersion: 'TLSv1.2' })).toMatch(/protocol version/);
  });

  it('does not wait for those who do not shake hands: ten seconds, and here less', async () => {
    expect([joinLimits(10_000).handshakeMs, memberLimits(10_000).handshakeMs]).toEqual([10_000, 10_000]);
    const { port, number } = await bench.serve({ handshakeMs: 20 });
    const mute = connectTcp(number, '127.0.0.1');
    bench.later({ close: () => mute.destroy() });
    await once(mute, 'close');
    await vi.waitFor(() => expect(port.taken.strangers).toBe(0));
  });
});
