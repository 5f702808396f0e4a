import { Record as LogRecord, type RecordHeader } from '@lethe/proto/gen/lethe/log/v1/record.ts';
import { PrivacyEvent } from '@lethe/proto/gen/lethe/privacy/v1/events.ts';
import { type Kysely, sql } from 'kysely';

/** A privacy event as it was handed to the relay. */
export interface PublishedEvent {
  readonly header: RecordHeader;
  readonly event: NonNullable<PrivacyEvent['event']>;
}

export function decodePublished(value: Uint8Array): PublishedEvent {
  const record = LogRecord.decode(value);
  const { event } = PrivacyEvent.decode(record.clearPayload);
  if (record.header === undefined || event === undefined || record.parts.length > 0) {
    throw new RangeError('not the record of a privacy event');
  }
  return { header: record.header, event };
}

/** What waits in the outbox, in the order of the log. */
export async function pendingEvents<Schema>(db: Kysely<Schema>): Promise<PublishedEvent[]> {
  const { rows } = await sql<{ value: Buffer }>`
    select value from outbox order by row_id`.execute(db);
  return rows.map(({ value }) => decodePublished(value));
}
