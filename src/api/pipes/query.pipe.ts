/** Our readers of queries as pipes: each parameter known, and all that is wrong with them at once. */
import { Query, type PipeTransform } from '@nestjs/common';
import { readNoQuery, type Query as Values } from '../query.js';

class QueryPipe<Read> implements PipeTransform<Values, Read> {
  constructor(private readonly read: (query: Values) => Read) {}

  transform(query: Values): Read {
    return this.read(query);
  }
}

/** The query as `read` makes it. */
export const QueryOf = <Read>(read: (query: Values) => Read): ParameterDecorator => Query(new QueryPipe(read));

/** For operations that take no parameter at all: one that is sent is a mistake. */
export const NoQuery = (): ParameterDecorator => QueryOf(readNoQuery);
