import { type Kysely, sql } from 'kysely';

/** Row kinds of the outbox, as stored. */
export const storedKind = { record: 1, tombstone: 2, tick: 3 } as const;

/**
 * Creates the tables of one owner of topics; called once from the service's own migration, by the name of the
 * platform's version of them, so that a later version becomes a later migration.
 *
 * - `outbox`: what the log does not have yet, payload included; rows go once published.
 * - `partition_counters`: the last sequence given per partition, and the batch on its way to the log: its row ids in
 *   their order on the log and the sequence of its first record. A batch in flight is what a relay that starts finds.
 * - `erased_ranges`: sequences that erasure removed, as disjoint ranges that do not touch; kept for ever.
 */
export async function createOutboxTables<Schema>(db: Kysely<Schema>): Promise<void> {
  await sql`create table outbox (
    row_id int8 generated always as identity primary key,
    topic text not null,
    partition int4 not null,
    kind int2 not null,
    event_id bytea,
    value bytea,
    recorded_at_ms int8)`.execute(db);
  // Boxes do not compress: trying would only cost time.
  await sql`alter table outbox alter column value set storage external`.execute(db);
  await sql`create index outbox_by_partition on outbox (topic, partition, row_id)`.execute(db);
  await sql`create table partition_counters (
    topic text not null,
    partition int4 not null,
    last_sequence int8 not null default 0,
    batch_first_sequence int8,
    batch_row_ids int8[],
    primary key (topic, partition))`.execute(db);
  await sql`create table erased_ranges (
    topic text not null,
    partition int4 not null,
    first_sequence int8 not null,
    last_sequence int8 not null,
    primary key (topic, partition, first_sequence),
    check (first_sequence between 1 and last_sequence))`.execute(db);
}
