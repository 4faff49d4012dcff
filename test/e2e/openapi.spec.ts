/** The OpenAPI document: valid, committed as it is served, and good enough to be sent as it stands. `make openapi` renews it. */
import { Validator } from '@seriousme/openapi-schema-validator';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { pointer } from '../../src/model/fault.js';
import { RestServer, type RestOptions } from '../support/rest-server.js';

interface Parameter {
  readonly name: string;
  readonly in: string;
  readonly schema: { readonly example?: string | number; readonly default?: string | number };
}

interface Schema {
  readonly $ref?: string;
  readonly allOf?: readonly Schema[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly items?: Schema;
  readonly readOnly?: boolean;
}

interface Operation {
  readonly operationId: string;
  readonly summary?: string;
  readonly parameters?: readonly Parameter[];
  readonly requestBody?: {
    readonly content: Readonly<
      Record<string, { examples: Readonly<Record<string, { value: object }>>; schema: Schema }>
    >;
  };
  readonly responses: Record<string, unknown>;
}

type Refused = readonly [status: number, path: string, options: RestOptions];

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
      expect(operation.operationId).toMatch(/^(apply|create|put|get|list|delete|revoke)[A-Z][A-Za-z]+$/);
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
    // What others name goes last.
    const named = ({ method, path }: { method: string; path: string }) => method === 'DELETE' && /services/.test(path);
    const rank = (one: { method: string; path: string }) => order.indexOf(one.method) + (named(one) ? 1 : 0);
    const inOrder = [...operations].sort((a, b) => rank(a) - rank(b));
    for (const { method, path, operation } of inOrder) {
      const target = targetOf(path, operation);
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
        const ofSidecars = ['getProxy', 'getEnrolment', 'deleteEnrolment'];
        const expected = ofSidecars.includes(operation.operationId) ? 404 : answer.status < 300 ? answer.status : 200;
        expect(answer.status, `${method} ${target}: ${answer.text}`).toBe(expected);
      }
    }
  });

  it('lists what every operation refuses', async () => {
    const form = { text: 'a=b', headers: { 'content-type': 'application/x-www-form-urlencoded' } };
    for (const { method, path, operation } of operations.filter(({ path }) => path.startsWith('/v1/'))) {
      const target = targetOf(path, operation);
      const [body] = Object.values(operation.requestBody?.content['application/json']?.examples ?? {});
      const whole = body ? { body: body.value } : {};
      const ofBodies: Refused[] = [
        [415, target, form],
        [413, target, { body: 'x'.repeat(9_000_000) }],
      ];
      const refusals: Refused[] = [
        [401, target, { ...whole, token: '' }],
        [400, `${target}?colour=red`, whole],
        ...(body ? ofBodies : []),
      ];
      // The client of these tests fails when the status is not among those that are listed.
      for (const [status, sent, options] of refusals) {
        expect((await rest.call(method, sent, options)).status, `${method} ${sent}`).toBe(status);
      }
    }
  });

  it('knows no field that may be null, but for those that are ignored', async () => {
    const writes = operations.filter(({ operation }) => operation.requestBody);
    expect(writes.length).toBeGreaterThan(5);
    for (const { method, path, operation } of writes) {
      const { schema, examples } = operation.requestBody!.content['application/json']!;
      const target = targetOf(path, operation);
      for (const { value } of Object.values(examples)) {
        for (const place of placesIn(value, schema)) {
          const answer = await rest.call(method, target, { body: withNull(value, place) });
          const what = `${method} ${target} with null at ${pointer(...place)}: ${answer.text}`;
          expect(answer.status, what).toBe(400);
          const faults = answer.body.errors as { pointer: string; detail: string }[];
          const fault = faults.find((one) => one.pointer === pointer(...place));
          expect(fault?.detail, what).toMatch(/must not be null; leave the (field|item) out instead/);
        }
      }
    }
  });
});

/** The path of an operation with its examples filled in. */
const targetOf = (path: string, { operationId, parameters }: Operation): string =>
  path.replaceAll(/\{(\w+)\}/g, (_, name: string) => {
    const example = parameters?.find((one) => one.in === 'path' && one.name === name)?.schema.example;
    expect(example, `${operationId} has no example for ${name}`).toBeDefined();
    return String(example);
  });

type Place = readonly (string | number)[];

/** Every field, item and member of a map that is in `value`, and every field that the schema would have there as well. */
function placesIn(value: unknown, schema: Schema | undefined, above: Place = []): Place[] {
  const { properties = {}, items } = resolved(schema);
  if (Array.isArray(value)) {
    return value.flatMap((item, index) => [[...above, index], ...placesIn(item, items, [...above, index])]);
  }
  if (typeof value !== 'object' || value === null) return [];
  const fields = new Set([...Object.keys(value), ...Object.keys(properties)]);
  return [...fields]
    .filter((field) => !resolved(properties[field]).readOnly)
    .flatMap((field) => {
      const at = [...above, field];
      return [at, ...placesIn((value as Record<string, unknown>)[field], properties[field], at)];
    });
}

/** A schema with all that it refers to. */
function resolved(schema: Schema = {}): Schema {
  const name = schema.$ref?.replace('#/components/schemas/', '');
  const named = name === undefined ? {} : resolved(JSON.parse(text).components.schemas[name] as Schema);
  return Object.assign({}, schema, named, ...(schema.allOf ?? []).map(resolved)) as Schema;
}

/** `value` with null at `place`. */
function withNull(value: unknown, [step, ...rest]: Place): unknown {
  if (step === undefined) return null;
  if (Array.isArray(value))
    return value.map((item, index) => (index === step ? withNull(item, rest) : (item as unknown)));
  return { ...(value as object), [step]: withNull((value as Record<string, unknown>)[step], rest) };
}
