import { type Kysely, sql } from 'kysely';

/**
 * Creates both tables; called once from the service's own migration, beside its checkpoints. A row of `parked_streams`
 * lives exactly as long as it has records: what a consumer could not apply, and what waits behind it (reason
 * STREAM_PARKED), sealed as it lies on the log. `tenant_id` is empty when the header cannot be read; `stream` is the
 * token, or "record-" and the record key when no header names one; `incarnation` is 0 when the record does not say.
 */
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
