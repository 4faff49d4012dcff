// The front page: asks the cart, by its name in the mesh, and shows what is in it.
import { createServer, get } from 'node:http';

createServer((_, response) => {
  const answer = (status, page) => {
    response.writeHead(status, { 'content-type': 'application/json' });
    response.end(JSON.stringify(page));
  };
  // As any program would: HTTP_PROXY leads to the sidecar, which knows where the cart is and proves who is calling.
  get('http://cart.shop/items', (cart) => {
    let text = '';
    cart.setEncoding('utf8').on('data', (part) => (text += part));
    cart.on('end', () => answer(cart.statusCode, { page: 'Your basket', cart: JSON.parse(text) }));
  }).on('error', (error) => answer(502, { error: error.message }));
}).listen(Number(process.argv[2]), '127.0.0.1');
