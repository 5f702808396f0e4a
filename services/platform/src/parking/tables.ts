import { type Kysely, sql } from 'kysely';

/** The tables that a service's schema type must have to park: `type … = ConsumerSchema & ParkingSchema`. */
export interface ParkingSchema {
  /** A stream of which something is parked; a row lives exactly as long as it has records. */
  parked_streams: {
    topic: string;
    partition: number;
    /** Empty when the header cannot be read. */
    tenant_id: string;
    /** The token, or "record-" and the record key when no header names a stream. */
    stream: string;
  };
  /** What a consumer could not apply, and what waits behind it: sealed, as it lies on the log. */
  parked_records: {
    topic: string;
    partition: number;
    sequence: bigint;
    log_offset: bigint;
    tenant_id: string;
    stream: string;
    /** Of the stream; 0 when the record does not say. */
    incarnation: number;
    record_key: Buffer;
    record: Buffer;
    /** A reason of proto/reasons.ts; STREAM_PARKED for one that only waits. */
    reason: string;
    parked_at_ms: bigint;
  };
}

/** Creates both tables; called once from the service's own migration, beside its checkpoints. */
export async function createParkingTables<Schema>(db: Kysely<Schema>): Promise<void> {
  await sql`create table parked_streams (
    topic text not null, partition int4 not null, tenant_id text collate "C" not null,
    stream text collate "C" not null,
    primary key (topic, partition, tenant_id, stream))`.execute(db);
  await sql`create table parked_records (
    topic text not null, partition int4 not null, sequence int8 not null, log_offset int8 not null,
    tenant_id text collate "C" not null, stream text collate "C" not null, incarnation int4 not null,
    record_key bytea not null, record bytea not null, reason text not null, parked_at_ms int8 not null,
    primary key (topic, partition, sequence))`.execute(db);
  await sql`create index parked_records_stream on parked_records (topic, partition, tenant_id, stream, sequence)`.execute(
    db,
  );
  await sql`create index parked_records_tenant on parked_records (tenant_id, stream)`.execute(db);
  // Ciphertext does not compress: do not try.
  await sql`alter table parked_records alter column record set storage external`.execute(db);
}
