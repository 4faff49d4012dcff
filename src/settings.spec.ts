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
