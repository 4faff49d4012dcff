/** The log of the server: lines of JSON on stderr, in which no token is to be found whoever put it into what is logged. */
import { pino, type Logger } from 'pino';
import type { LogLevel } from './settings.js';
import { withoutTokens } from './store/bearer-token.js';

/** By which modules ask for it. */
export const LOG = Symbol('Log');

export type Log = Logger;

export const createLog = (level: LogLevel): Log =>
  pino(
    { level, base: null, redact: ['req.headers.authorization'], hooks: { streamWrite: withoutTokens } },
    pino.destination(2),
  );
