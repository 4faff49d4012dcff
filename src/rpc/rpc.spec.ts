/** A port as clients find it: a real gRPC client, one that says what it likes over HTTP/2, and some that say nothing. */
import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { Worker } from 'node:worker_threads';
import * as grpc from '@grpc/grpc-js';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { ECHO, PortBench, ask, silent, statusOf, stream } from '../../test/support/port-bench.js';
import { MessageReader, framed } from './frame.js';
import { Places } from './places.js';

let bench: PortBench;
beforeAll(async () => {
  bench = await PortBench.create();
});
afterAll(() => bench.remove());
afterEach(() => bench.clear());

describe('a call', () => {
  it('is answered, refused in words that may be any, and told nothing of what fails', async () => {
    const one = bench.client((await bench.serve()).number);
    expect(await ask(one, 'hello')).toBe('hello');
    await expect(ask(one, 'no ✓')).rejects.toMatchObject({ code: 9, details: '“no ✓” is 100 % refused' });
    await expect(ask(one, 'fail')).rejects.toMatchObject({ code: 13, details: expect.not.stringContaining('secret') });
    await expect(ask(one, 'x', '/test.Test/None')).rejects.toMatchObject({ code: 12 });
    await expect(ask(one, 'x'.repeat(17_000))).rejects.toMatchObject({ code: 8 });
    expect(await ask(one, 'x'.repeat(16_000))).toHaveLength(16_000);
  });

  it.each([
    ['by another method', { ':method': 'GET' }, '405'],
    ['with something else', { 'content-type': 'application/json' }, '415'],
    ['compressed', { 'grpc-encoding': 'gzip' }, '12'],
  ])('%s is refused', async (_, headers, status) => {
    expect(await statusOf(bench.session((await bench.serve()).number), headers)).toBe(status);
  });

  it.each([
    ['announces too much', Buffer.from([0, 0, 1, 0, 0]), '8'],
    ['says that it is compressed', Buffer.from([1, 0, 0, 0, 1, 0]), '12'],
    ['is none', Buffer.from([7, 0, 0, 0, 0]), '13'],
  ])('whose message %s is refused, whatever follows', async (_, body, status) => {
    expect(await statusOf(bench.session((await bench.serve()).number), {}, body)).toBe(status);
  });

  it('that never comes to its end is ended, and so is one that never begins', async () => {
    const http2 = bench.session((await bench.serve({ requestMs: 1 })).number);
    const begun = statusOf(http2, {}, Buffer.from([0, 0, 0, 0, 9, 1]));
    expect(await Promise.all([begun, statusOf(http2, {})])).toEqual(['4', '4']);
  });

  it('for which there is no room among what has begun to arrive is refused', async () => {
    const http2 = bench.session((await bench.serve({ connectionBytes: 100, callsPerConnection: 4 })).number);
    const half = Buffer.concat([Buffer.from([0, 0, 0, 0, 90]), Buffer.alloc(60)]);
    const outcomes = [statusOf(http2, {}, half), statusOf(http2, {}, half)];
    expect(await Promise.race(outcomes)).toBe('8');
  });
});

describe('a stream', () => {
  it('whose client does not read is told that it is behind, and then cut', async () => {
    const method = silent();
    const { number } = await bench.serve({ unsentBytes: 1_000_000 }, [method]);
    const request = bench.session(number).request({ ...ECHO, ':path': method.path });
    request.on('error', () => undefined);
    request.write(Buffer.alloc(5));
    const stream = await method.stream;
    const shared = Buffer.alloc(100_000);
    const ready = Array.from({ length: 40 }, () => stream.write([shared]));
    expect(ready.at(-1)).toBe(false);
    await method.closed;
  });

  it('ends with the word that the server stops, when it does, and the port is empty then', async () => {
    const method = silent();
    const { port, number } = await bench.serve({}, [method]);
    const { ended } = stream(bench.client(number), method.path);
    await method.stream;
    await port.drain(10);
    expect(await ended).toMatchObject({ code: 14, details: expect.stringContaining('stopping') });
    await method.closed;
  });
});

/** A client that has a stream open and says nothing. */
const OTHER_THREAD = `
  const { connect } = require('node:http2');
  const { number, ca, headers } = require('node:worker_threads').workerData;
  const session = connect('https://127.0.0.1:' + number, { ca, servername: 'localhost' });
  session.on('error', () => undefined);
  session.request(headers).on('error', () => undefined).write(Buffer.alloc(5));
`;

/** Nothing else runs in this thread meanwhile. */
const standStill = (ms: number): void => void Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);

describe('a connection', () => {
  it('that is about to come in when the port drains does not', async () => {
    const method = silent();
    const { port, number } = await bench.serve({}, [method]);
    const held = bench.session(number).request({ ...ECHO, ':path': method.path });
    held.on('error', () => undefined).write(Buffer.alloc(5));
    await method.stream;
    const late = connectTcp(number, '127.0.0.1');
    bench.later({ close: () => late.destroy() });
    await expect.poll(() => port.taken.strangers).toBe(2);
    const drained = port.drain(60_000);
    const tls = connectTls({ socket: late, ca: bench.material.ca, servername: 'localhost', ALPNProtocols: ['h2'] });
    const served = new Promise<boolean>((resolve) => {
      tls.on('data', () => resolve(true)).on('close', () => resolve(false));
      tls.on('error', () => undefined).write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0');
    });
    expect(await served).toBe(false);
    port.close();
    await drained;
  });

  it('is held to be there when its answer lies unread because the server stood still', async () => {
    const method = silent();
    const { number } = await bench.serve({}, [method]);
    const headers = { ...ECHO, ':path': method.path };
    const client = new Worker(OTHER_THREAD, { eval: true, workerData: { number, ca: bench.material.ca, headers } });
    try {
      const stream = await method.stream;
      const isThere = stream.probe();
      await new Promise(setImmediate);
      standStill(2_100);
      expect(await isThere).toBe(true);
      expect(await stream.probe()).toBe(true);
    } finally {
      await client.terminate();
    }
  });

  it('that many ask after is asked once at a time, and keeps nothing of it', async () => {
    const method = silent();
    const { number } = await bench.serve({}, [method]);
    const request = bench.session(number).request({ ...ECHO, ':path': method.path });
    request.on('error', () => undefined).write(Buffer.alloc(5));
    const warnings: Error[] = [];
    const note = (warning: Error) => void warnings.push(warning);
    process.on('warning', note);
    try {
      const stream = await method.stream;
      expect(await Promise.all(Array.from({ length: 20 }, () => stream.probe()))).toEqual(Array(20).fill(true));
      for (let time = 0; time < 20; time += 1) expect(await stream.probe()).toBe(true);
      expect(warnings).toEqual([]);
    } finally {
      process.off('warning', note);
    }
  });
});

describe('strangers', () => {
  it('make room for one another, and the door stays open', async () => {
    const { port, number } = await bench.serve({ strangers: 3, strangersPerAddress: 3 });
    const idle = Array.from({ length: 3 }, () => connectTcp(number, '127.0.0.1'));
    const closed = (socket: Socket) => new Promise<Socket>((resolve) => socket.on('close', () => resolve(socket)));
    for (const socket of idle) {
      socket.on('error', () => undefined);
      bench.later({ close: () => socket.destroy() });
      await new Promise((resolve) => socket.on('connect', resolve));
    }
    const first = Promise.race(idle.map(closed));
    expect(await ask(bench.client(number), 'hello')).toBe('hello');
    expect(await first).toBe(idle[0]);
    expect(port.taken.strangers).toBeLessThanOrEqual(3);
  });

  it('of one network come in at a rate, and the others are sent away before they shake hands', async () => {
    const { number } = await bench.serve({ arrivals: { burst: 2, everyMs: 3_600_000 } });
    const [one, other] = [bench.client(number), bench.client(number)];
    expect(await Promise.all([ask(one, 'a'), ask(other, 'b')])).toEqual(['a', 'b']);
    await expect(ask(bench.client(number), 'c')).rejects.toMatchObject({ code: grpc.status.UNAVAILABLE });
    expect(await ask(one, 'd')).toBe('d');
  });

  it('take no place from members, and one member has only so many', () => {
    const places = new Places({ strangers: 2, strangersPerAddress: 2, members: 3, connectionsPerMember: 2 });
    const out: number[] = [];
    const entered = Array.from({ length: 5 }, (_, index) => {
      const place = places.enter('a', () => out.push(index));
      return { place, proved: place.prove(index < 3 ? 'one' : `other-${index}`) };
    });
    expect(entered.map(({ proved }) => proved)).toEqual([true, true, false, true, false]);
    expect(places.taken).toEqual({ strangers: 2, members: 3 });
    places.enter('b', () => undefined);
    expect(out).toEqual([2]);
    for (const { place } of entered) place.leave();
    expect(places.taken).toEqual({ strangers: 1, members: 0 });
  });
});

describe('messages', () => {
  it.each([1, 2, 3, 7, 4_096])('come whole out of pieces of %s bytes', (size) => {
    const said = ['', 'a', 'b'.repeat(300), 'c'.repeat(9_000)];
    const bytes = Buffer.concat(said.flatMap((one) => [...framed([Buffer.from(one)])]));
    const reader = new MessageReader(10_000);
    const heard: string[] = [];
    for (let from = 0; from < bytes.length; from += size) {
      reader.push(bytes.subarray(from, from + size));
      for (let message = reader.next(); message; message = reader.next()) heard.push(message.toString());
    }
    expect(heard).toEqual(said);
    expect(reader.held).toBe(0);
  });
});
