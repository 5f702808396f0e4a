import { sql, type Transaction } from 'kysely';
import type { TenantId, Token } from '../ids/ids.ts';
import type { StreamKey } from './streams.ts';
import type { EventStoreSchema } from './tables.ts';

/** A record as it went to the log. */
export interface RecordRow {
  readonly streamToken: Token;
  readonly streamIncarnation: number;
  readonly position: number;
  readonly record: Uint8Array;
}

/** Boxes of a person in a stream that is not theirs. */
export interface PersonBoxes {
  readonly person: StreamKey;
  readonly stream: StreamKey;
  readonly boxes: number;
}

export async function insertRecords(
  tx: Transaction<EventStoreSchema>,
  tenantId: TenantId,
  rows: readonly RecordRow[],
): Promise<void> {
  if (rows.length === 0) return;
  await sql`
    insert into records (tenant_id, stream_token, stream_incarnation, position, record)
    select ${tenantId}, stream_token, stream_incarnation, position, record
    from unnest(${rows.map((row) => row.streamToken)}::text[],
      ${rows.map((row) => row.streamIncarnation)}::int4[], ${rows.map((row) => row.position)}::int8[],
      ${rows.map((row) => row.record)}::bytea[])
      as appended (stream_token, stream_incarnation, position, record)`.execute(tx);
}

/** Adds to the counts, sorted, so that two writers never wait in a circle. */
export async function addPersonBoxes(
  tx: Transaction<EventStoreSchema>,
  tenantId: TenantId,
  counts: readonly PersonBoxes[],
): Promise<void> {
  if (counts.length === 0) return;
  await sql`
    insert into person_boxes (tenant_id, person_token, person_incarnation, stream_token, stream_incarnation, boxes)
    select ${tenantId}, person_token, person_incarnation, stream_token, stream_incarnation, boxes
    from unnest(${counts.map((count) => count.person.token)}::text[],
      ${counts.map((count) => count.person.incarnation)}::int4[],
      ${counts.map((count) => count.stream.token)}::text[], ${counts.map((count) => count.stream.incarnation)}::int4[],
      ${counts.map((count) => count.boxes)}::int8[])
      as added (person_token, person_incarnation, stream_token, stream_incarnation, boxes)
    order by 2, 3, 4, 5
    on conflict (tenant_id, person_token, person_incarnation, stream_token, stream_incarnation)
      do update set boxes = person_boxes.boxes + excluded.boxes`.execute(tx);
}
