// A program for tests that stops accepting connections when it is asked to, and goes on running.
import { createServer } from 'node:http';

const server = createServer((request, response) => {
  response.end(JSON.stringify({ workload: process.env.SLUICE_WORKLOAD ?? null }));
  if (request.url === '/fall-ill') server.close();
});
server.listen(Number(process.argv[2]), '127.0.0.1');
setInterval(() => undefined, 60_000);
