/** What a server takes for its settings, and what it knows to be somebody else's. */
import { describe, expect, it } from 'vitest';
import { SettingsFaulty, readSettings } from './settings.js';

describe('the environment that Kubernetes makes for a Service called sluice', () => {
  it.each([
    ['SLUICE_PORT', 'tcp://10.0.0.1:80'],
    ['SLUICE_SERVICE_HOST', '10.0.0.1'],
    ['SLUICE_SERVICE_HOST', 'fd00::1'],
    ['SLUICE_SERVICE_PORT', '443'],
    ['SLUICE_SERVICE_PORT_HTTPS', '443'],
    ['SLUICE_PORT_80_TCP', 'tcp://10.0.0.1:80'],
    ['SLUICE_PORT_80_TCP_PROTO', 'tcp'],
    ['SLUICE_PORT_80_TCP_PORT', '80'],
    ['SLUICE_PORT_80_TCP_ADDR', '10.0.0.1'],
    ['SLUICE_PORT_53_UDP', 'udp://[fd00::1]:53'],
    ['SLUICE_API_SERVICE_HOST', '10.0.0.1'],
    ['SLUICE_API_PORT_8443_TCP_ADDR', 'fd00::1'],
    ['SLUICE_API_PORT', 'tcp://10.0.0.1:8443'],
  ])('may hold %s=%s', (name, value) => {
    expect(readSettings({}, { [name]: value }).logLevel).toBe('info');
  });

  it.each([
    ['SLUICE_API_PORT', '8443'],
    ['SLUICE_PORT', '8443'],
    ['SLUICE_SERVICE_HOST', 'example'],
    ['SLUICE_SERVICE_PORT', 'https'],
    ['SLUICE_PORT_80_TCP_COLOUR', 'red'],
    ['SLUICE_COLOUR', 'tcp://10.0.0.1:80'],
    ['SLUICE_EXPORT', 'tcp://10.0.0.1:80'],
  ])('does not hold %s=%s, which somebody meant for us', (name, value) => {
    expect(() => readSettings({}, { [name]: value })).toThrow(SettingsFaulty);
  });
});

describe('how much of the history is kept', () => {
  const keep = (text: string) => readSettings({}, { SLUICE_HISTORY_KEEP: text }).historyKeep;

  it.each([
    ['10000,30d', 10_000, 30 * 86_400_000],
    ['30d,10000', 10_000, 30 * 86_400_000],
    ['1', 1, Infinity],
    ['90m', Infinity, 90 * 60_000],
    ['all', Infinity, Infinity],
  ])('may be %s', (text, revisions, ageMs) => {
    expect(keep(text)).toEqual({ revisions, ageMs });
  });

  it.each(['', '0', '-1', '1.5', '30d,', '10,20', '1d,2d', '59s', 'all,30d', '10000 30d', 'none'])(
    'may not be "%s"',
    (text) => {
      expect(() => keep(text)).toThrow(/SLUICE_HISTORY_KEEP=.*: it must be a number of revisions/);
    },
  );

  it('is bounded unless somebody says otherwise', () => {
    expect(readSettings({}, {}).historyKeep).toEqual({ revisions: 10_000, ageMs: 30 * 86_400_000 });
  });
});
