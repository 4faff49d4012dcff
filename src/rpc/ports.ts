/** The two ports of the sidecars: one for those who have no certificate yet, one for those who prove who they are. */
import { GrpcPort, type TlsMaterial } from '../stream/grpc.js';

interface Address {
  readonly host: string;
  readonly port: number;
}

export class SidecarPorts {
  readonly join: GrpcPort;
  readonly xds: GrpcPort;
  /** The numbers of the ports, which may have been left to the system; 0 while they are closed. */
  bound = { join: 0, xds: 0 };

  constructor(
    material: TlsMaterial,
    private readonly addresses: { readonly join: Address; readonly xds: Address },
  ) {
    this.join = new GrpcPort(material, false);
    this.xds = new GrpcPort(material, true);
  }

  /** Begins to serve. Every service was added before. */
  async listen(): Promise<void> {
    const xds = await this.xds.listen(this.addresses.xds);
    this.bound = { xds, join: await this.join.listen(this.addresses.join) };
  }

  get isOpen(): boolean {
    return this.bound.join > 0 && this.bound.xds > 0;
  }

  /** Shows `material` to whoever connects from now on. */
  replaceCertificate(material: TlsMaterial): void {
    this.join.replaceCertificate(material);
    this.xds.replaceCertificate(material);
  }

  close(): void {
    this.xds.close();
    this.join.close();
    this.bound = { join: 0, xds: 0 };
  }
}
