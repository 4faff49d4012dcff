/** The two ports of the sidecars: one for those who have no certificate yet, one for those who prove who they are. */
import { joinLimits, memberLimits, openFileLimit } from './limits.js';
import { GrpcPort, type TlsMaterial } from './port.js';

interface Address {
  readonly host: string;
  readonly port: number;
}

export interface SidecarPortsOptions {
  readonly material: TlsMaterial;
  readonly trustDomain: string;
  readonly addresses: { readonly join: Address; readonly xds: Address };
  readonly onFailure: (error: unknown) => void;
}

export class SidecarPorts {
  readonly join: GrpcPort;
  readonly xds: GrpcPort;
  /** The numbers of the ports, which may have been left to the system; 0 while they are closed. */
  bound = { join: 0, xds: 0 };

  constructor(private readonly options: SidecarPortsOptions) {
    const { material, trustDomain, onFailure } = options;
    const openFiles = openFileLimit();
    this.join = new GrpcPort({ material, limits: joinLimits(openFiles), onFailure });
    this.xds = new GrpcPort({ material, limits: memberLimits(openFiles), trustDomain, onFailure });
  }

  /** Begins to serve. Every method was added before. */
  async listen(): Promise<void> {
    const { addresses } = this.options;
    const xds = await this.xds.listen(addresses.xds);
    this.bound = { xds, join: await this.join.listen(addresses.join) };
  }

  get isOpen(): boolean {
    return this.bound.join > 0 && this.bound.xds > 0;
  }

  /** Shows `material` to whoever connects from now on. */
  replaceCertificate(material: TlsMaterial): void {
    this.join.replaceCertificate(material);
    this.xds.replaceCertificate(material);
  }

  /** Takes nobody in any more and lets everybody go, spread over `spreadMs`. Done when they have gone. */
  async drain(spreadMs: number): Promise<void> {
    await Promise.all([this.xds.drain(spreadMs), this.join.drain(spreadMs)]);
  }

  close(): void {
    this.xds.close();
    this.join.close();
    this.bound = { join: 0, xds: 0 };
  }
}
