/** A way to a port of this machine that can be made to swallow what its callers say, as a network does that has failed. */
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

export class Relay implements Disposable {
  private readonly sockets = new Set<Socket>();
  private isMute = false;
  private answered: (() => void) | undefined;

  private constructor(private readonly server: Server) {}

  static async to(target: number): Promise<Relay> {
    const server = createServer();
    const relay = new Relay(server);
    server.on('connection', (near) => relay.join(near, connect(target, '127.0.0.1')));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return relay;
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  /** From now on, nothing of what callers say arrives; what is said to them does. */
  mute(): void {
    this.isMute = true;
  }

  /** Done when something more is said to a caller. */
  toldSomething(): Promise<void> {
    return new Promise((resolve) => (this.answered = resolve));
  }

  private join(near: Socket, far: Socket): void {
    for (const socket of [near, far]) {
      this.sockets.add(socket);
      socket.on('error', () => undefined).on('close', () => (near.destroy(), far.destroy()));
    }
    near.on('data', (data) => !this.isMute && far.write(data));
    far.on('data', (data) => {
      near.write(data);
      this.answered?.();
    });
  }

  [Symbol.dispose](): void {
    for (const socket of this.sockets) socket.destroy();
    this.server.close();
  }
}
