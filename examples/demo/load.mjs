// A load generator: POST /run?requests=2000 opens the front page so many times, and counts which cart each one showed.
import { createServer, get } from 'node:http';

const AT_ONCE = 20;

/** One visit: the version of the cart that the page showed, or what went wrong. */
const visit = () =>
  new Promise((resolve) => {
    get('http://web.shop/', (page) => {
      let text = '';
      page.setEncoding('utf8').on('data', (part) => (text += part));
      page.on('error', (error) => resolve(error.message));
      page.on('end', () => resolve(page.statusCode === 200 ? JSON.parse(text).cart.version : String(page.statusCode)));
    }).on('error', (error) => resolve(error.message));
  });

async function run(requests) {
  const counts = {};
  let left = requests;
  const visitor = async () => {
    while (left-- > 0) {
      const seen = await visit();
      counts[seen] = (counts[seen] ?? 0) + 1;
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, visitor));
  return counts;
}

createServer(async (request, response) => {
  const requests = Number(new URL(request.url, 'http://load').searchParams.get('requests') ?? 100);
  const counts = await run(Math.min(requests, 100_000));
  response.writeHead(200, { 'content-type': 'application/json' });
  response.end(JSON.stringify(counts));
}).listen(Number(process.argv[2]), '127.0.0.1');
