// The cart service: knows what is in the basket, and says which version of it was asked.
import { createServer } from 'node:http';

const [port, version] = process.argv.slice(2);
const items = version === 'v2' ? ['tea', 'honey', 'a spoon'] : ['tea', 'honey'];

createServer((request, response) => {
  const found = request.url === '/items' || request.url === '/health';
  response.writeHead(found ? 200 : 404, { 'content-type': 'application/json' });
  response.end(JSON.stringify(found ? { version, items } : { error: `there is no ${request.url}` }));
}).listen(Number(port), '127.0.0.1');
