/** The OpenAPI document: valid, committed as it is served, and good enough to be sent as it stands. `make openapi` renews it. */
import { Validator } from '@seriousme/openapi-schema-validator';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { RestServer } from '../support/rest-server.js';

interface Parameter {
  readonly name: string;
  readonly in: string;
  readonly schema: { readonly example?: string | number; readonly default?: string | number };
}

interface Operation {
  readonly operationId: string;
  readonly summary?: string;
  readonly parameters?: readonly Parameter[];
  readonly requestBody?: { content: Record<string, { examples: Record<string, { value: object }> }> };
  readonly responses: Record<string, unknown>;
}

let rest: RestServer;
let text: string;
let operations: { readonly method: string; readonly path: string; readonly operation: Operation }[];

beforeAll(async () => {
  rest = await RestServer.start();
  const { body } = await rest.call('GET', '/openapi.json', { token: '' });
  text = `${JSON.stringify(body, null, 2)}\n`;
  operations = Object.entries(body.paths as Record<string, Record<string, Operation>>).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ method: method.toUpperCase(), path, operation })),
  );
});
afterAll(() => rest[Symbol.asyncDispose]());

describe('the OpenAPI document', () => {
  it('is the one that is committed', async () => {
    await expect(text).toMatchFileSnapshot('../../openapi/openapi.json');
  });

  it('is valid OpenAPI 3.1', async () => {
    const { valid, errors } = await new Validator().validate(text);
    expect(errors).toBeUndefined();
    expect(valid).toBe(true);
    expect(JSON.parse(text)).toMatchObject({ openapi: '3.1.0' });
  });

  it('names every operation so that a client can be generated from it', () => {
    const ids = operations.map(({ operation }) => operation.operationId);
    expect(new Set(ids).size).toBe(ids.length);
    for (const { operation } of operations) {
      expect(operation.operationId).toMatch(/^(create|put|get|list|delete|revoke)[A-Z][A-Za-z]+$/);
      expect(operation.summary?.length).toBeGreaterThan(10);
    }
  });

  it('describes its refusals as problem documents', () => {
    for (const { path, operation } of operations.filter(({ path }) => path.startsWith('/v1/'))) {
      expect(operation.responses, path).toHaveProperty('401.content.application/problem+json');
    }
  });

  it('has examples that work when they are sent as they stand', async () => {
    const order = ['PUT', 'POST', 'GET', 'DELETE'];
    const inOrder = [...operations].sort((a, b) => order.indexOf(a.method) - order.indexOf(b.method));
    for (const { method, path, operation } of inOrder) {
      const target = path.replaceAll(/\{(\w+)\}/g, (_, name: string) => {
        const parameter = operation.parameters?.find((one) => one.in === 'path' && one.name === name);
        const example = parameter?.schema.example;
        expect(example, `${method} ${path} has no example for ${name}`).toBeDefined();
        return String(example);
      });
      // Swagger UI sends the defaults of parameters as well.
      const query = (operation.parameters ?? [])
        .filter((parameter) => parameter.in === 'query')
        .flatMap(({ name, schema }) =>
          (schema.example ?? schema.default) === undefined ? [] : `${name}=${schema.example ?? schema.default}`,
        );
      const examples = Object.values(operation.requestBody?.content['application/json']?.examples ?? {});
      if (operation.requestBody) expect(examples.length, `${method} ${path} has no example`).toBeGreaterThan(0);
      for (const body of operation.requestBody ? examples.map(({ value }) => value) : [undefined]) {
        const answer = await rest.call(method, `${target}?${query.join('&')}`, body ? { body } : {});
        // There is no sidecar here that could be the example of a proxy.
        const expected = operation.operationId === 'getProxy' ? 404 : answer.status < 300 ? answer.status : 200;
        expect(answer.status, `${method} ${target}: ${answer.text}`).toBe(expected);
      }
    }
  });
});
