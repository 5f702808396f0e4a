import { createHash } from 'node:crypto';
import { type EventId, eventIdBytes, eventIdFromBytes, isTenantId, type TenantId } from './ids.ts';

/**
 * The key of an event's record on the log and of its row in the event index: UUIDv8 of SHA-256(tenant, event id).
 * Callers choose their event ids, and two tenants may choose the same one (a copy of an import, a test tenant); with
 * the bare id as record key, erasing one tenant's event would let compaction remove the other's.
 */
export function recordIdOf(tenantId: TenantId, eventId: EventId): EventId {
  const hash = createHash('sha256').update(`lethe.record-id.v1\u0000${tenantId}\u0000${eventId}`);
  const bytes = hash.digest().subarray(0, 16);
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x80, 6);
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8);
  return eventIdFromBytes(bytes);
}

/**
 * Whether `recordKey` is the one under which an erasure would tombstone the event: `recordIdOf`, or the bare event id
 * for topics whose owner makes all ids itself (privacy.v1).
 */
export function isRecordKeyOf(
  header: { readonly tenantId: string; readonly eventId: Uint8Array },
  recordKey: Uint8Array,
): boolean {
  if (Buffer.compare(header.eventId, recordKey) === 0) return true;
  const { tenantId } = header;
  if (!isTenantId(tenantId) || header.eventId.length !== 16) return false;
  const recordId = recordIdOf(tenantId, eventIdFromBytes(header.eventId));
  return Buffer.compare(eventIdBytes(recordId), recordKey) === 0;
}
