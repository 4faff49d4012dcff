/** Between the messages of the aggregated stream and the plain values of a session. */
import protobuf from 'protobufjs';
import { envoy, sluice } from '../proto/messages.js';
import { inOneLine } from '../rpc/words.js';
import type { DeltaRequest, DeltaResponse } from './delta.js';

const { DeltaDiscoveryRequest } = envoy.service.discovery.v3;

/** A request, with who sends it; only the first of a stream need say that. */
export interface ReceivedRequest extends DeltaRequest {
  readonly node?: { readonly id: string; readonly agent: string };
}

/** Reads a DeltaDiscoveryRequest. Throws when the bytes are none. */
export function decodeRequest(bytes: Uint8Array): ReceivedRequest {
  const request = DeltaDiscoveryRequest.decode(bytes);
  const { node, error_detail: error } = request;
  return {
    type: request.type_url,
    nonce: request.response_nonce,
    subscribe: request.resource_names_subscribe,
    unsubscribe: request.resource_names_unsubscribe,
    initialVersions: request.initial_resource_versions,
    ...(node && { node: { id: node.id ?? '', agent: agentOf(node) } }),
    ...(error && { error: { message: sentence(error.message), ...blamed(error.details ?? []) } }),
  };
}

/** How much of what a client calls itself is kept, in characters. */
const MAX_AGENT = 100;

const agentOf = ({ user_agent_name, user_agent_version }: envoy.config.core.v3.INode): string =>
  inOneLine([user_agent_name, user_agent_version].filter(Boolean).join(' '), MAX_AGENT) || 'unknown';

/** Which resources a refusal names, if its client says so in our words. */
function blamed(details: readonly { readonly type_url?: string | null; readonly value?: Uint8Array | null }[]) {
  const resources = details
    .filter(({ type_url }) => type_url?.endsWith('/sluice.v1.Refusal'))
    .flatMap(({ value }) => sluice.v1.Refusal.decode(value ?? new Uint8Array()).resources)
    .map(({ name, reason }) => ({ name: name ?? '', reason: sentence(reason) }));
  return resources.length > 0 ? { resources } : {};
}

/** Field numbers of DeltaDiscoveryResponse with their wire type, length-delimited. */
const SYSTEM_VERSION_INFO = (1 << 3) | 2;
const RESOURCES = (2 << 3) | 2;
const TYPE_URL = (4 << 3) | 2;
const NONCE = (5 << 3) | 2;
const REMOVED_RESOURCES = (6 << 3) | 2;

/** Resources of at least so many bytes go out as the very bytes that all clients share; smaller ones are cheaper to copy. */
const SHARED_FROM = 1_024;

/**
 * Writes a DeltaDiscoveryResponse by hand, in pieces that follow each other: what is said of this client alone, and the
 * resources as the bytes that they already are. A field may be written in any order and place, so the pieces need no lengths around them.
 */
export function encodeResponse({ type, nonce, sequence, resources, removed }: DeltaResponse): Uint8Array[] {
  const pieces: Uint8Array[] = [];
  let writer = protobuf.Writer.create();
  writer.uint32(SYSTEM_VERSION_INFO).string(String(sequence)).uint32(TYPE_URL).string(type).uint32(NONCE).string(nonce);
  for (const name of removed) writer.uint32(REMOVED_RESOURCES).string(name);
  for (const { entry } of resources) {
    writer.uint32(RESOURCES);
    if (entry.length < SHARED_FROM) {
      writer.bytes(entry);
      continue;
    }
    pieces.push(writer.uint32(entry.length).finish(), entry);
    writer = protobuf.Writer.create();
  }
  const last = writer.finish();
  return last.length > 0 ? [...pieces, last] : pieces;
}

/** What a client says of a refusal is shown to people: as long as a paragraph and no longer, and nothing unseen in it. */
const sentence = (text: string | null | undefined): string => inOneLine(text, 500);
