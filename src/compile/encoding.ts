/** Messages as bytes, whole or in parts that are encoded once and put together many times. */
import { Writer } from 'protobufjs';
import type { google } from '../proto/messages.js';

/** A generated message class, as far as writing goes. */
interface Encoder<Message> {
  encode(message: Message, writer: Writer): Writer;
}

/** One for all: a new one begins with little room, and grows by copying. Nothing is encoded while something else is. */
const WRITER = Writer.create();

export const encode = <Message>(type: Encoder<Message>, message: Message): Uint8Array =>
  type.encode(message, WRITER.reset()).finish();

/** As `encode`, in memory of its own: what is kept for long would keep all that was allocated beside it. */
export function encodeApart<Message>(type: Encoder<Message>, message: Message): Uint8Array {
  const writer = type.encode(message, WRITER.reset());
  return writer.finishInto(Buffer.allocUnsafeSlow(writer.pos));
}

/** A message inside a google.protobuf.Any. */
export const any = <Message>(
  type: Encoder<Message> & { getTypeUrl(): string },
  message: Message,
): google.protobuf.Any.$Properties => encodedAny(type, encode(type, message));

/** A message that is encoded already inside a google.protobuf.Any. */
export const encodedAny = (type: { getTypeUrl(): string }, value: Uint8Array): google.protobuf.Any.$Properties => ({
  type_url: type.getTypeUrl(),
  value,
});

/** A field that holds a message which is encoded already. */
export const field = (number: number, message: Uint8Array): Uint8Array =>
  WRITER.reset()
    .uint32((number << 3) | 2)
    .bytes(message)
    .finish();

/**
 * Parts of one message as that message. In the order of their fields' numbers they read like what is written at once;
 * parts with the same repeated field are its elements, one after the other.
 */
export const joined = (...parts: readonly Uint8Array[]): Uint8Array => Buffer.concat(parts);
