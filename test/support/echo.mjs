// A program for tests: answers every request, HTTP/1.1 or HTTP/2 on each of its ports, with who it is and what it saw. Who asks in
// bytes (`who`, and a new line) is told the first of that, and hears whatever it says from then on.
import { createServer as createHttp1 } from 'node:http';
import { createServer as createHttp2 } from 'node:http2';
import { createServer } from 'node:net';

const PREFACE = Buffer.from('PRI * HTTP/2.0');
const WHO = Buffer.from('who\n');
const ports = process.argv.slice(2).map(Number);

async function answer(request, response) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const { method, url, httpVersion } = request;
  const headers = Object.fromEntries(Object.entries(request.headers).filter(([name]) => typeof name === 'string'));
  response.writeHead(200, { 'content-type': 'application/json' });
  response.end(
    JSON.stringify({
      workload: process.env.SLUICE_WORKLOAD ?? null,
      port: request.socket.localPort,
      version: httpVersion,
      method,
      path: url,
      headers,
      body: Buffer.concat(chunks).toString(),
    }),
  );
}

const http1 = createHttp1(answer);
const http2 = createHttp2(answer);

const take = (socket) => {
  socket.on('error', () => socket.destroy());
  socket.once('readable', () => {
    const first = socket.read();
    if (first === null) return socket.destroy();
    if (first.subarray(0, WHO.length).equals(WHO)) {
      socket.write(`${JSON.stringify({ workload: process.env.SLUICE_WORKLOAD ?? null, port: socket.localPort })}\n`);
      socket.write(first.subarray(WHO.length));
      return socket.pipe(socket);
    }
    socket.unshift(first);
    const server = first.subarray(0, PREFACE.length).equals(PREFACE.subarray(0, first.length)) ? http2 : http1;
    server.emit('connection', socket);
  });
};

for (const port of ports) createServer(take).listen(port, '127.0.0.1');
