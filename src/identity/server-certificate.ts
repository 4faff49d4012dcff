/** The certificate that the server shows on all its ports, replaced in time and without a restart. */
import type * as x509 from '@peculiar/x509';
import { wallClock, type Clock, type Span } from '../work/clock.js';
import type { Authority } from './authority.js';
import { controlPlaneId } from './certificates.js';
import { renewalTime } from './renewal.js';

/** What a TLS listener needs, as PEM. */
export interface TlsMaterial {
  readonly key: string;
  readonly cert: string;
  readonly ca: string;
}

/** How long to wait after a renewal that failed, in milliseconds. */
const RETRY_MS = 60_000;

export class ServerCertificate {
  private readonly listeners = new Set<(material: TlsMaterial) => void>();
  private cancel: () => void = () => undefined;

  private constructor(
    private readonly authority: Authority,
    private readonly hosts: readonly x509.JsonGeneralName[],
    private readonly onFailure: (error: unknown) => void,
    private readonly clock: Clock,
    public material: TlsMaterial,
  ) {}

  /** Issues the first certificate, for `hosts` (DNS names or IP addresses), and keeps it fresh from then on. */
  static async issue(
    authority: Authority,
    hosts: readonly string[],
    onFailure: (error: unknown) => void,
    clock: Clock = wallClock,
  ) {
    const names = hosts.map((value) => ({ type: /^[\d.]+$|:/.test(value) ? 'ip' : 'dns', value }) as const);
    const { material, good } = await issue(authority, names);
    const certificate = new ServerCertificate(authority, names, onFailure, clock, material);
    certificate.schedule(good);
    return certificate;
  }

  /** Calls `listener` with every new certificate. */
  onRenewal(listener: (material: TlsMaterial) => void): void {
    this.listeners.add(listener);
  }

  close(): void {
    this.cancel();
    this.listeners.clear();
  }

  private schedule(good: Span): void {
    this.cancel = this.clock.outside(good, () => void this.renew());
  }

  private async renew(): Promise<void> {
    try {
      const { material, good } = await issue(this.authority, this.hosts);
      this.material = material;
      for (const listener of this.listeners) listener(material);
      this.schedule(good);
    } catch (error) {
      this.onFailure(error);
      const now = this.clock.now();
      this.schedule({ from: now - RETRY_MS, to: now + RETRY_MS });
    }
  }
}

async function issue(authority: Authority, hosts: readonly x509.JsonGeneralName[]) {
  const identity = controlPlaneId(authority.trustDomain);
  const { keyPem, chainPem, notBefore, notAfter } = await authority.issueWithKey(identity, hosts);
  const material: TlsMaterial = { key: keyPem, cert: chainPem, ca: authority.anchorsPem };
  return { material, good: { from: notBefore.getTime(), to: renewalTime(notBefore, notAfter, Math.random()) } };
}
