import { createHmac, type KeyObject } from 'node:crypto';
import { type EventId, eventIdBytes } from '../ids/ids.ts';
import { createByteWriter } from './byte-writer.ts';

/**
 * What tells a duplicate from a conflict: 32 bytes of HMAC-SHA-256 over what the caller sent of an event. The key dies
 * with the scope, so that the digest of an erased event says nothing.
 */
export function contentDigest(
  digestKey: KeyObject,
  type: string,
  occurredAtMs: number | bigint,
  causationId: EventId | undefined,
  eventBytes: Uint8Array,
): Buffer {
  const input = createByteWriter(eventBytes.length + 128)
    .sized('lethe.content-digest.v1')
    .sized(type)
    .i64(BigInt(occurredAtMs))
    .sized(causationId === undefined ? Buffer.alloc(0) : eventIdBytes(causationId))
    .sized(eventBytes)
    .bytes();
  return createHmac('sha256', digestKey).update(input).digest();
}
