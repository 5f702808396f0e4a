import { Record as LogRecord, ScopeKind } from '@lethe/proto/gen/lethe/log/v1/record.ts';
import { ServiceError } from '../errors/service-error.ts';
import type { LogEntry } from '../event-log/port.ts';
import {
  type EventId,
  eventIdFromBytes,
  isTenantId,
  type TenantId,
  type Token,
  tokenFromBytes,
} from '../ids/ids.ts';
import { isRecordKeyOf } from '../ids/record-id.ts';

/** A record of an owner's topic with what the derived tables say of it. */
export interface ReadRecord {
  readonly recordId: EventId;
  readonly tenantId: TenantId;
  readonly eventId: EventId;
  readonly type: string;
  readonly streamToken: Token;
  readonly streamIncarnation: number;
  readonly position: number;
  readonly partition: number;
  readonly sequence: bigint;
  readonly occurredAtMs: number;
  readonly resealed: boolean;
  readonly bytes: Uint8Array;
  readonly record: LogRecord;
}

export interface PersonPart {
  readonly token: Token;
  readonly incarnation: number;
}

/** A ticket is erased once and for all, so it has one incarnation. */
const ticketIncarnation = 1;

/** Throws TAMPERED for what is no record of its owner: nothing can be rebuilt from it. */
export function readLogRecord(
  topic: string,
  partition: number,
  entry: Extract<LogEntry, { kind: 'record' }>,
): ReadRecord {
  const refused = (): never => {
    const at = `${topic}/${partition} at sequence ${entry.sequence}`;
    throw new ServiceError('TAMPERED', `${at} is no record; nothing was rebuilt`);
  };
  const record = decode(entry.value);
  const header = record?.header;
  if (record === undefined || header === undefined) return refused();
  const { tenantId } = header;
  if (!isTenantId(tenantId) || !isRecordKeyOf(header, entry.eventId)) return refused();
  const streamToken = tokenFromBytes(header.streamToken);
  return {
    recordId: eventIdFromBytes(entry.eventId),
    tenantId,
    eventId: eventIdFromBytes(header.eventId),
    type: header.type,
    streamToken,
    streamIncarnation: incarnationOf(record, streamToken),
    position: Number(header.position),
    partition,
    sequence: entry.sequence,
    occurredAtMs: Number(header.occurredAtMs),
    resealed: record.resealed,
    bytes: entry.value,
    record,
  };
}

function decode(bytes: Uint8Array): LogRecord | undefined {
  try {
    return LogRecord.decode(bytes);
  } catch {
    // Only the decoder threw, and what it says of the bytes adds nothing.
    return undefined;
  }
}

/** Of a person's stream the part of that person tells; every event of it has one. */
function incarnationOf(record: LogRecord, streamToken: Token): number {
  const own = personParts(record).find(({ token }) => token === streamToken);
  return own?.incarnation ?? ticketIncarnation;
}

/** The persons whose boxes a record holds. */
export function personParts({ parts }: LogRecord): readonly PersonPart[] {
  return parts.flatMap((part) =>
    part.scopeKind === ScopeKind.SCOPE_KIND_PERSON && !part.erasedAtAppend
      ? [{ token: tokenFromBytes(part.scopeToken), incarnation: part.incarnation }]
      : [],
  );
}
