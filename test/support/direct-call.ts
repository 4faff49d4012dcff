/** Calls a workload at the door of its sidecar, by mutual TLS with any certificate: past every outbound sidecar. */
import { request } from 'node:http';
import { readFileSync } from 'node:fs';
import { connect, type TLSSocket } from 'node:tls';
import type { Doors } from './grpc-client.js';
import type { Answer } from './http-call.js';
import type { Sluice } from './sluice.js';

/** What a caller shows and trusts, as PEM. */
export interface Credentials {
  readonly certificate?: string;
  readonly key?: string;
  readonly trustAnchors: string;
}

/** The ports of a real control plane, for clients that join by themselves. */
export const doorsOf = (sluice: Sluice): Doors => ({
  joinPort: Number(sluice.join.split(':')[1]),
  xdsPort: Number(sluice.xds.split(':')[1]),
  trustAnchors: readFileSync(sluice.trustAnchors, 'utf8'),
  joinToken: async (namespace, claims) => {
    const path = `/v1/namespaces/${namespace}/join-tokens`;
    const made = await sluice.rest.send({ method: 'POST', path, body: claims });
    return (made.body as { token: string }).token;
  },
});

/** One request over a connection of its own. Rejects when the other side does not take the connection. */
export async function callDirectly(
  address: string,
  { certificate, key, trustAnchors }: Credentials,
  { method = 'GET', path = '/' }: { readonly method?: string; readonly path?: string } = {},
): Promise<Answer> {
  const [host = '', port = ''] = address.split(':');
  const socket = connect({
    host,
    port: Number(port),
    ca: trustAnchors,
    ...(certificate !== undefined && key !== undefined && { cert: certificate, key }),
    servername: '',
    ALPNProtocols: ['http/1.1'],
    // Workloads have no host names; who they are is in their SPIFFE id, which is not what is tested from this side.
    checkServerIdentity: () => undefined,
  });
  await handshake(socket);
  return new Promise((resolve, reject) => {
    const outgoing = request(
      { createConnection: () => socket, method, path, headers: { host: 'direct' } },
      (response) => {
        let body = '';
        response.setEncoding('utf8').on('data', (part: string) => (body += part));
        response.on('error', reject);
        response.on('end', () => {
          socket.destroy();
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            body,
            get json(): unknown {
              return JSON.parse(body) as unknown;
            },
          });
        });
      },
    );
    outgoing.on('error', reject).end();
  });
}

const handshake = (socket: TLSSocket): Promise<void> =>
  new Promise((resolve, reject) => socket.once('secureConnect', resolve).once('error', reject));
