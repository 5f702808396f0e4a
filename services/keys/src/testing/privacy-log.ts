import { createHash } from 'node:crypto';
import type { EventLog } from '@lethe/platform/event-log/port.ts';
import type { TenantId } from '@lethe/platform/ids/ids.ts';
import { Record as LogRecord } from '@lethe/proto/gen/lethe/log/v1/record.ts';
import { PrivacyEvent } from '@lethe/proto/gen/lethe/privacy/v1/events.ts';

/** Any privacy event. */
export type PublishedEvent = NonNullable<PrivacyEvent['event']>;

const partition = { topic: 'privacy.v1', partition: 0 };

/** Appends privacy events as the relay of `privacy` would; `payload` in place of an event for what is none. */
export async function publish(
  eventLog: EventLog,
  tenantId: TenantId,
  ...events: readonly (PublishedEvent | { readonly payload: Buffer })[]
): Promise<void> {
  const writer = await eventLog.openWriter(partition);
  const first = writer.lastSequence + 1n;
  const writes = events.map((event, index) => {
    const sequence = first + BigInt(index);
    const eventId = createHash('sha256').update(`${sequence}`).digest().subarray(0, 16);
    const record: LogRecord = {
      header: {
        tenantId,
        eventId,
        type: 'payload' in event ? 'Unknown' : event.$case,
        streamToken: Buffer.alloc(16),
        position: sequence,
        occurredAtMs: 0n,
        recordedAtMs: 0n,
        schemaVersion: 1,
        causationId: Buffer.alloc(0),
      },
      parts: [],
      clearPayload:
        'payload' in event ? event.payload : Buffer.from(PrivacyEvent.encode({ event }).finish()),
      resealed: false,
      traceContext: Buffer.alloc(0),
    };
    const value = LogRecord.encode(record).finish();
    return { kind: 'record' as const, eventId, value, recordedAtMs: 0 };
  });
  await writer.append(first, writes);
  await writer.close();
}
