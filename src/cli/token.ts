/** `sluice token`: the tokens that open the API, and those that let a sidecar join. */
import { printAge } from './columns.js';
import type { Labels } from '../model/names.js';
import { writeData, type Format } from './output.js';
import { segment, type Rest } from './rest.js';
import { printTable } from './table.js';
import { terminal } from './terminal.js';

interface ApiToken {
  readonly id: string;
  readonly name: string;
  readonly createdAt: string;
  readonly expiresAt?: string;
}

/** The token alone goes to stdout, so that it can be caught in a variable or a file. */
export async function createToken(rest: Rest, name: string, options: { readonly expiresIn?: string }): Promise<void> {
  const { body } = await rest.request('POST', '/v1/tokens', { body: { name, ...options } });
  const { token, expiresAt } = body as ApiToken & { readonly token: string };
  terminal.out(`${token}\n`);
  terminal.talk(`Token "${name}" ${until(expiresAt)}. It is shown now and never again.`);
}

export async function listTokens(rest: Rest, { output }: { readonly output: Format }): Promise<void> {
  const { body } = await rest.request('GET', '/v1/tokens');
  const { items } = body as { readonly items: readonly ApiToken[] };
  const columns = [
    { heading: 'NAME', cell: ({ name }: ApiToken) => name },
    { heading: 'ID', cell: ({ id }: ApiToken) => id },
    { heading: 'AGE', cell: ({ createdAt }: ApiToken) => printAge(createdAt, Date.now()) },
    { heading: 'EXPIRES', cell: ({ expiresAt }: ApiToken) => expiresAt ?? 'never' },
  ];
  await writeData(output, body, () => printTable(columns, items, terminal.paint));
}

export async function revokeToken(rest: Rest, name: string): Promise<void> {
  await rest.request('DELETE', `/v1/tokens/${segment(name)}`);
  terminal.talk(`Token "${name}" opens nothing any more.`);
}

/** Who a sidecar will be, as the API takes it. */
export interface JoinRequest {
  readonly name: string;
  readonly service?: string;
  readonly serviceAccount?: string;
  readonly labels?: Labels;
  readonly expiresIn?: string;
}

export interface JoinToken {
  readonly token: string;
  readonly identity: string;
  readonly expiresAt: string;
}

export async function requestJoinToken(rest: Rest, namespace: string, request: JoinRequest): Promise<JoinToken> {
  const { body } = await rest.request('POST', `/v1/namespaces/${segment(namespace)}/join-tokens`, { body: request });
  return body as JoinToken;
}

export async function joinToken(rest: Rest, namespace: string, request: JoinRequest): Promise<void> {
  const { token, identity, expiresAt } = await requestJoinToken(rest, namespace, request);
  terminal.out(`${token}\n`);
  terminal.talk(
    `Whoever brings it first, ${until(expiresAt)}, is workload ${namespace}/${request.name} with identity ${identity}.`,
  );
}

const until = (expiresAt: string | undefined): string =>
  expiresAt === undefined ? 'does not expire' : `until ${expiresAt}`;
