/**
 * From the JSON of a body to an instance of its class, before any rule is asked: what JSON can say and no class can
 * expect is found here, each with a JSON pointer. One walk, so that its time is that of the length of the body.
 */
import type { Type } from '@nestjs/common';
import { pointer, type Fault } from '../model/fault.js';
import { fieldsOf, type Content } from './shape.js';

/** How deep a body may be nested. No document that means anything comes near it. */
export const MAX_DEPTH = 32;

/** How much of a name is repeated to whoever sent it. */
const MAX_QUOTED = 64;

export type JsonObject = Readonly<Record<string, unknown>>;

export interface ReadBody<Dto> {
  /** Holds known fields alone, each at most once and none of them null. Everything in it is still to be checked. */
  readonly dto: Dto;
  readonly faults: readonly Fault[];
  /** Pointers to what has been said to be wrong already, so that what follows from it need not be told. */
  readonly settled: ReadonlySet<string>;
}

type Path = readonly (string | number)[];

export function readBody<Dto extends object>(type: Type<Dto>, body: JsonObject): ReadBody<Dto> {
  const reader = new Reader();
  const dto = reader.object(type, body, []) as Dto;
  return { dto, faults: reader.faults, settled: reader.settled };
}

/** Where `value` is nested deeper than a body may be. */
export function tooDeep(value: unknown, path: Path = []): string | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  if (path.length === MAX_DEPTH) return pointer(...path);
  for (const [key, member] of Object.entries(value)) {
    if (typeof member !== 'object') continue;
    const found = tooDeep(member, [...path, key]);
    if (found !== undefined) return found;
  }
  return undefined;
}

class Reader {
  readonly faults: Fault[] = [];
  readonly settled = new Set<string>();

  object(type: Type<object>, value: JsonObject, path: Path): object {
    const fields = fieldsOf(type);
    const instance = new type() as Record<string, unknown>;
    for (const [name, member] of Object.entries(value)) {
      const content = fields.get(name);
      if (content) instance[name] = this.field(content, member, [...path, name]);
      else this.faults.push({ pointer: pointer(...path, name), detail: unknownField(name, fields.keys()) });
    }
    return instance;
  }

  private field(content: Content, value: unknown, path: Path): unknown {
    if (content.is === 'ignored') return undefined;
    if (value === null) return this.null(path);
    if (content.is === 'object') return isObject(value) ? this.object(content.type(), value, path) : misshapen(value);
    if (content.is === 'list') return Array.isArray(value) ? this.list(content, value, path) : misshapen(value);
    // One too many are as wrong as a million, and sooner checked.
    const looked = content.is === 'values' && Array.isArray(value) ? value.slice(0, content.max + 1) : value;
    this.nullsWithin(looked, path);
    return looked;
  }

  private list({ type, max }: Content & { is: 'list' }, value: readonly unknown[], path: Path): unknown[] {
    return value.slice(0, max + 1).map((item, index) => {
      const at = [...path, index];
      if (isObject(item)) return this.object(type(), item, at);
      if (item === null) this.null(at);
      else this.settle(at, `${nameOf(at)} must be an object`);
      // Rules about lists look into their items: in place of what is none there is one that has nothing.
      return new (type())();
    });
  }

  /** Maps and lists of texts have nulls too. */
  private nullsWithin(value: unknown, path: Path): void {
    if (typeof value !== 'object' || value === null) return;
    const isList = Array.isArray(value);
    for (const [key, member] of Object.entries(value)) {
      const at = [...path, isList ? Number(key) : key];
      if (member === null) this.null(at);
      else this.nullsWithin(member, at);
    }
  }

  private null(path: Path): undefined {
    const what = typeof path.at(-1) === 'number' ? 'item' : 'field';
    return this.settle(path, `${nameOf(path)} must not be null; leave the ${what} out instead`);
  }

  private settle(path: Path, detail: string): undefined {
    const at = pointer(...path);
    this.settled.add(at);
    this.faults.push({ pointer: at, detail });
  }
}

function unknownField(name: string, known: Iterable<string>): string {
  const meant = [...known].find((field) => isNearly(field.toLowerCase(), name.toLowerCase()));
  return `there is no field "${quoted(name)}" here${meant === undefined ? '' : `; there is "${meant}"`}`;
}

/** One of the two goes on where the other ends, or they differ in their capitals alone. */
const isNearly = (a: string, b: string): boolean =>
  Math.min(a.length, b.length) > 2 && (a.startsWith(b) || b.startsWith(a));

const nameOf = (path: Path): string => {
  const last = path.at(-1);
  return typeof last === 'number' ? `item ${last} of ${nameOf(path.slice(0, -1))}` : quoted(String(last));
};

const quoted = (name: string): string => (name.length > MAX_QUOTED ? `${name.slice(0, MAX_QUOTED)}...` : name);

const isObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** What has not the form that rules look into: they need only see that it has not. */
const misshapen = (value: unknown): unknown => (Array.isArray(value) ? [] : isObject(value) ? false : value);
