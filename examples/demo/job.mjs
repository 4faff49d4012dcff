// A nightly job: when a scheduler says so (POST /run), it reads the cart for its statistics, and reports what it got.
import { createServer, get } from 'node:http';

createServer((_, response) => {
  const report = (status, body) => {
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ status, body }));
  };
  get('http://cart.shop/items', (cart) => {
    let text = '';
    cart.setEncoding('utf8').on('data', (part) => (text += part));
    cart.on('end', () => report(cart.statusCode, JSON.parse(text)));
  }).on('error', (error) => report(0, { error: error.message }));
}).listen(Number(process.argv[2]), '127.0.0.1');
