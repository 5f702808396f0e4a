import type { RecordHeader, SealedPart } from '@lethe/proto/gen/lethe/log/v1/record.ts';
import { type Scope, type TenantId, type Token, tokenBytes } from '../ids/ids.ts';
import { createByteWriter } from './byte-writer.ts';
import { encodeScope } from './scope-wire.ts';

/*
 * What a box is bound to (AES-GCM's associated data), so that it opens nowhere else.
 * Byte by byte with vectors: docs/sealing-format.md.
 */
const partDomain = 'lethe.sealing.part.v1';
const valueDomain = 'lethe.sealing.value.v1';

/** What the list of parts says of a part. All of it stands in the record: opening needs nothing else. */
export type ListedPart = Readonly<Omit<SealedPart, 'box'>>;

/** What a box outside of a record is bound to, such as the state of a ticket in a read model. */
export interface ValueBinding {
  readonly tenantId: TenantId;
  /** What the value is, such as "ticket-state"; each kind of value has a name of its own. */
  readonly name: string;
  readonly streamToken: Token;
  /** Rises with each change, so that an older box cannot stand in for a newer one. */
  readonly version: bigint | number;
}

/** The associated data of every part of one record; header and list of parts are encoded once. */
export function partAssociatedData(
  header: RecordHeader,
  parts: readonly ListedPart[],
): (part: ListedPart) => Buffer {
  const prefix = createByteWriter(1024)
    .sized(partDomain)
    .sized(header.tenantId)
    .sized(header.eventId)
    .sized(header.type)
    .sized(header.streamToken)
    .u64(header.position)
    .i64(header.occurredAtMs)
    .i64(header.recordedAtMs)
    .u32(header.schemaVersion)
    .sized(header.causationId)
    .u32(parts.length);
  for (const part of parts) {
    prefix
      .sized(part.name)
      .u8(part.scopeKind)
      .sized(part.scopeToken)
      .u32(part.incarnation)
      .u8(part.erasedAtAppend ? 1 : 0);
  }
  const prefixBytes = prefix.bytes();
  return (part) =>
    createByteWriter(prefixBytes.length + 128)
      .raw(prefixBytes)
      .sized(part.name)
      .u8(part.scopeKind)
      .sized(part.scopeToken)
      .u32(part.incarnation)
      .bytes();
}

/** The associated data of a box outside of a record. */
export function valueAssociatedData(
  binding: ValueBinding,
  scope: Scope,
  incarnation: number,
): Buffer {
  const wireScope = encodeScope(scope);
  return createByteWriter(256)
    .sized(valueDomain)
    .sized(binding.tenantId)
    .sized(tokenBytes(binding.streamToken))
    .u64(BigInt(binding.version))
    .sized(binding.name)
    .u8(wireScope.kind)
    .sized(wireScope.token)
    .u32(incarnation)
    .bytes();
}
