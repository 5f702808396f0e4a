import { type Kysely, sql } from 'kysely';
import type { RecordEntry } from './plan.ts';
import type { ParkedStreamId } from './store.ts';

/** A parked stream and what is known of it without opening anything. */
export interface ParkedStreamRow extends ParkedStreamId {
  /** Of its first record. */
  readonly reason: string;
  readonly firstSequence: bigint;
  readonly parkedAtMs: number;
  readonly events: bigint;
  readonly bytes: bigint;
}

export interface ParkedRecordRow {
  readonly entry: RecordEntry;
  readonly reason: string;
  readonly parkedAtMs: number;
}

export interface StreamsWish {
  /** All when empty. */
  readonly tenantId: string;
  readonly stream: string;
  readonly reason: string;
  readonly after: ParkedStreamId | undefined;
  readonly rowsMax: number;
}

const beforeAll: ParkedStreamId = { topic: '', partition: -1, tenantId: '', stream: '' };

/** Ascending by topic, partition, tenant and stream. */
export async function listParkedStreams<Schema>(
  db: Kysely<Schema>,
  { tenantId, stream, reason, after = beforeAll, rowsMax }: StreamsWish,
): Promise<readonly ParkedStreamRow[]> {
  const { rows } = await sql<{
    topic: string;
    partition: number;
    tenant_id: string;
    stream: string;
    reason: string;
    sequence: bigint;
    parked_at_ms: bigint;
    events: bigint;
    bytes: bigint;
  }>`
    select s.topic, s.partition, s.tenant_id, s.stream, head.reason, head.sequence, head.parked_at_ms,
      of_stream.events, of_stream.bytes
    from parked_streams as s
    cross join lateral (
      select r.reason, r.sequence, r.parked_at_ms from parked_records as r
      where (r.topic, r.partition, r.tenant_id, r.stream) = (s.topic, s.partition, s.tenant_id, s.stream)
      order by r.sequence limit 1) as head
    cross join lateral (
      select count(*) as events, coalesce(sum(length(r.record)), 0)::int8 as bytes from parked_records as r
      where (r.topic, r.partition, r.tenant_id, r.stream) = (s.topic, s.partition, s.tenant_id, s.stream))
      as of_stream
    where (s.topic, s.partition, s.tenant_id, s.stream)
        > (${after.topic}, ${after.partition}::int4, ${after.tenantId}, ${after.stream})
      and (${tenantId} = '' or s.tenant_id = ${tenantId}) and (${stream} = '' or s.stream = ${stream})
      and (${reason} = '' or head.reason = ${reason})
    order by s.topic, s.partition, s.tenant_id, s.stream limit ${rowsMax}`.execute(db);
  return rows.map((row) => ({
    topic: row.topic,
    partition: row.partition,
    tenantId: row.tenant_id,
    stream: row.stream,
    reason: row.reason,
    firstSequence: row.sequence,
    parkedAtMs: Number(row.parked_at_ms),
    events: row.events,
    bytes: row.bytes,
  }));
}

/** How much is parked in all. */
export async function countParked<Schema>(
  db: Kysely<Schema>,
): Promise<{ readonly streams: bigint; readonly events: bigint }> {
  const { rows } = await sql<{ streams: bigint; events: bigint }>`
    select (select count(*) from parked_streams) as streams, (select count(*) from parked_records) as events`.execute(
    db,
  );
  return rows[0] ?? { streams: 0n, events: 0n };
}

/** The records of a stream behind a sequence, in order. */
export async function readParkedRecords<Schema>(
  db: Kysely<Schema>,
  { topic, partition, tenantId, stream }: ParkedStreamId,
  behind: bigint,
  rowsMax: number,
): Promise<readonly ParkedRecordRow[]> {
  const { rows } = await sql<{
    sequence: bigint;
    log_offset: bigint;
    record_key: Buffer;
    record: Buffer;
    reason: string;
    parked_at_ms: bigint;
  }>`
    select sequence, log_offset, record_key, record, reason, parked_at_ms from parked_records
    where topic = ${topic} and partition = ${partition} and tenant_id = ${tenantId} and stream = ${stream}
      and sequence > ${behind}
    order by sequence limit ${rowsMax}`.execute(db);
  return rows.map((row) => ({
    entry: {
      kind: 'record',
      sequence: row.sequence,
      offset: row.log_offset,
      eventId: row.record_key,
      value: row.record,
      recordedAtMs: 0,
    },
    reason: row.reason,
    parkedAtMs: Number(row.parked_at_ms),
  }));
}
