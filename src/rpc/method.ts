/** What a port serves: methods with one answer, and methods with a stream both ways. */
import type { Peer } from './peer.js';
import { FAILED, GrpcRefusal, STATUS } from './refusal.js';

/** A call as its method sees it. */
export interface Stream {
  /** Who calls. The same object for all calls of one connection. */
  readonly peer: Peer;
  /** Says that it is heard. The first message says so too, but that may take its time. */
  accept(): void;
  /**
   * Sends a message, given in parts. They are not copied, so they may be shared among streams and must not change. False:
   * the client does not keep up.
   */
  write(parts: readonly Uint8Array[]): boolean;
  /** Takes in nothing more until `resume`. */
  pause(): void;
  resume(): void;
  /** Whether somebody is still at the other end of its connection, who may have vanished without a word. */
  probe(): Promise<boolean>;
  /** Ends it, well or with a refusal. Does nothing when it has ended. */
  end(refusal?: GrpcRefusal): void;
}

/** What becomes of a call. What a method throws ends the call: a GrpcRefusal as it says, all else as a failure of ours. */
export interface StreamListener<Request> {
  message(request: Request): void;
  /** The client has nothing more to say. */
  finished(): void;
  /** It is over, however that came to be. Called once. */
  closed(): void;
}

export interface StreamMethod<Request> {
  /** `/package.Service/Method`. */
  readonly path: string;
  /** Throws when the bytes are no request. */
  decode(bytes: Uint8Array): Request;
  open(stream: Stream): StreamListener<Request>;
}

/** What generated code offers for a message. */
interface MessageType<Message> {
  decode(bytes: Uint8Array): Message;
  encode(message: Message): { finish(): Uint8Array };
}

/**
 * A method that answers one message with one, served by an asynchronous function. What that throws, except a GrpcRefusal,
 * stays here, and is logged by `onFailure`.
 */
export const unary = <Request, Response>(
  path: string,
  request: Pick<MessageType<Request>, 'decode'>,
  response: Pick<MessageType<Response>, 'encode'>,
  serve: (request: Request, peer: Peer) => Promise<Response>,
  onFailure: (error: unknown) => void,
): StreamMethod<Request> => ({
  path,
  decode: (bytes) => request.decode(bytes),
  open: (stream) => {
    let asked = false;
    const answer = async (message: Request): Promise<void> => {
      try {
        stream.write([response.encode(await serve(message, stream.peer)).finish()]);
        stream.end();
      } catch (error) {
        if (!(error instanceof GrpcRefusal)) onFailure(error);
        stream.end(error instanceof GrpcRefusal ? error : FAILED);
      }
    };
    return {
      message: (message) => {
        if (asked) throw new GrpcRefusal(STATUS.invalidArgument, 'this method takes one message');
        asked = true;
        void answer(message);
      },
      finished: () => {
        if (!asked) throw new GrpcRefusal(STATUS.invalidArgument, 'this method takes one message, and there was none');
      },
      closed: () => undefined,
    };
  },
});
