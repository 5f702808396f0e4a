import { createHash } from 'node:crypto';
import { type EventId, eventIdFromBytes, type TenantId } from '../ids/ids.ts';

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
