/** Reads the values of options. Each answers with what was meant, or with a sentence that says what would be right. */
import { InvalidArgumentError } from 'commander';
import { parseDuration } from '../model/duration.js';
import { isDnsLabel, isLabelKey, isLabelValue, isPortName, SERVICE_LABEL, type Labels } from '../model/names.js';
import { DEFAULT_WAIT, LONGEST_WAIT } from '../model/wait.js';
import type { AppPort, Forward } from './run-plan.js';

const refuse = (sentence: string): never => {
  throw new InvalidArgumentError(sentence);
};

export const readName = (text: string): string =>
  isDnsLabel(text)
    ? text
    : refuse('It must be a DNS label: at most 63 of a-z, 0-9 and "-", beginning and ending with a letter or digit.');

export const readDuration = (text: string): string =>
  parseDuration(text) === undefined ? refuse('It must be a duration, such as 500ms, 30s or 5m.') : text;

/** How long to wait for proxies. Checked here, since a change is committed before the server is asked to wait for it. */
export const readTimeout = (text: string): string => {
  const [ms, most] = [parseDuration(text), parseDuration(LONGEST_WAIT)];
  return ms === undefined || most === undefined || ms > most
    ? refuse(`It must be a duration of at most ${LONGEST_WAIT}, such as ${DEFAULT_WAIT}.`)
    : text;
};

/** A share of the proxies or a number of them. */
export const readTarget = (text: string): string => {
  const [, number = '0', sign = ''] = /^(\d{1,6})(%?)$/.exec(text) ?? [];
  const most = sign === '%' ? 100 : Infinity;
  return Number(number) >= 1 && Number(number) <= most
    ? text
    : refuse('It must be a share of the proxies from 1% to 100%, or a number of them, such as 3.');
};

/** One more `port`, or `name=port`. */
export function readPort(text: string, ports: readonly AppPort[] = []): readonly AppPort[] {
  const [, name, port = '0'] = /^(?:([^=]*)=)?(\d{1,5})$/.exec(text) ?? [];
  if (Number(port) < 1 || Number(port) > 65_535) {
    return refuse('It must be a port from 1 to 65535, with its name before it if it has one: http=9001.');
  }
  if (name === undefined) return [...ports, { port: Number(port) }];
  return isPortName(name)
    ? [...ports, { name, port: Number(port) }]
    : refuse(
        'The name of a port must be at most 15 of a-z, 0-9 and single "-" between them, with a letter among them.',
      );
}

/** One more `port=service:port`. */
export function readForward(text: string, forwards: readonly Forward[] = []): readonly Forward[] {
  const [, port = '0', host = '', servicePort = '0'] = /^(\d{1,5})=([^:=]+):(\d{1,5})$/.exec(text) ?? [];
  const labels = host.split('.');
  const isService = labels.length <= 2 && labels.every(isDnsLabel);
  return isPort(port) && isPort(servicePort) && isService
    ? [...forwards, { port: Number(port), to: `${host}:${Number(servicePort)}` }]
    : refuse('It must be a port of this machine, and a service with its port: 15432=db:5432 or 15432=db.shop:5432.');
}

const isPort = (text: string): boolean => Number(text) >= 1 && Number(text) <= 65_535;

export const readLimit = (text: string): number =>
  /^\d{1,9}$/.test(text) && Number(text) >= 1 ? Number(text) : refuse('It must be a whole number from 1.');

/** One more `key=value`. */
export function readLabel(text: string, labels: Labels = {}): Labels {
  const [key, value] = splitOnce(text);
  if (value === undefined || !isLabelKey(key) || !isLabelValue(value)) {
    return refuse('It must be KEY=VALUE, such as version=v1: letters, digits, "-", "_" and ".", at most 63 of them.');
  }
  if (key === SERVICE_LABEL) return refuse('Say this with --service.');
  if (Object.hasOwn(labels, key)) return refuse(`Label "${key}" is given twice.`);
  return { ...labels, [key]: value };
}

function splitOnce(text: string): readonly [string, string | undefined] {
  const at = text.indexOf('=');
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)];
}

/** One more of what may be given several times. */
export const collect = (text: string, before: readonly string[] = []): readonly string[] => [...before, text];
