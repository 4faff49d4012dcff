/** How an answer leads to the page after it: in its body, and in its head (RFC 8288). */
import type { ApiReply, ApiRequest } from './authentication.js';

interface Page {
  /** The cursor of the page after it. */
  readonly next?: string;
}

/** `page`, with the address of the next one in the head of `reply`: that of `request`, with another cursor. */
export function linked<P extends Page>(page: P, { url }: Pick<ApiRequest, 'url'>, reply: ApiReply): P {
  if (page.next === undefined) return page;
  const [path = '', query] = url.split('?', 2);
  const parameters = new URLSearchParams(query);
  parameters.set('cursor', page.next);
  reply.header('link', `<${path}?${parameters.toString()}>; rel="next"`);
  return page;
}
