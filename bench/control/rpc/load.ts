/** The other end: streams over mutual TLS, a connection each, that answer every message with twenty bytes. */
import { connect } from 'node:http2';
import type { Material } from './server.ts';

const ANSWER = Buffer.concat([Buffer.from([0, 0, 0, 0, 20]), Buffer.alloc(20)]);
/** Handshakes at the same time. */
const AT_ONCE = 16;

function open(port: number, { key, cert, ca }: Material): Promise<void> {
  return new Promise((resolve, reject) => {
    const session = connect(`https://127.0.0.1:${port}`, { key, cert, ca, servername: 'localhost' });
    session.on('error', reject);
    const headers = {
      ':method': 'POST',
      ':path': '/bench.Bench/Watch',
      'content-type': 'application/grpc',
      te: 'trailers',
    };
    const stream = session.request(headers);
    stream.on('error', reject).on('response', () => resolve());
    // As sidecars do: who has nothing to say for ten seconds is not waited for.
    stream.write(ANSWER);
    let held: Buffer = Buffer.alloc(0);
    stream.on('data', (piece: Buffer) => {
      held = held.length > 0 ? Buffer.concat([held, piece]) : piece;
      while (held.length >= 5 && held.length >= 5 + held.readUInt32BE(1)) {
        held = held.subarray(5 + held.readUInt32BE(1));
        stream.write(ANSWER);
      }
    });
  });
}

interface Asked {
  readonly port: number;
  readonly streams: number;
  readonly material: Material;
}

async function obey({ port, streams, material }: Asked): Promise<void> {
  let left = streams;
  const worker = async (): Promise<void> => {
    while (left-- > 0) await open(port, material);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  process.send?.({ open: streams });
}
process.on('message', (asked: Asked) => void obey(asked));
process.on('disconnect', () => process.exit(0));
