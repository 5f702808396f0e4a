import { type Kysely, sql } from 'kysely';
import type { Migration } from 'kysely/migration';
import { createConsumerTables } from '@lethe/platform/consumer/tables.ts';
import { createReceiptTables } from '@lethe/platform/receipts/receipts.ts';

/** Checkpoints, chunk manifests, contribution counters, tenants, receipts. */
export const projection: Migration = {
  up: async (db: Kysely<unknown>) => {
    await createConsumerTables(db);
    await createReceiptTables(db);
    // One row per committed chunk. `decisions` are the accept decisions as bits, in log order.
    await sql`create table chunk_manifests (
      manifest_id uuid primary key,
      projection_version int4 not null,
      state text not null check (state in ('pending', 'done')),
      committed_at_ms int8 not null,
      decision_count int4 not null,
      decisions bytea not null)`.execute(db);
    await sql`create index chunk_manifests_pending on chunk_manifests (committed_at_ms)
      where state = 'pending'`.execute(db);
    // What the chunk covers. The ranges of a partition follow each other without a gap, because each is committed
    // together with its checkpoint; the primary key is a second lock on folding anything twice.
    await sql`create table manifest_ranges (
      topic text not null,
      partition int4 not null,
      first_sequence int8 not null,
      last_sequence int8 not null,
      records int4 not null,
      manifest_id uuid not null references chunk_manifests,
      primary key (topic, partition, first_sequence),
      check (first_sequence between 1 and last_sequence))`.execute(db);
    await sql`create index manifest_ranges_by_manifest on manifest_ranges (manifest_id)`.execute(
      db,
    );
    // The encoded ledger rows: what is inserted is these bytes, however often.
    await sql`create table manifest_inserts (
      manifest_id uuid not null references chunk_manifests,
      family text not null,
      month int4 not null,
      row_count int4 not null,
      sha256 bytea not null,
      body bytea not null,
      primary key (manifest_id, family, month))`.execute(db);
    // Keyed hashes of people per month, so it is personal data: it lives no longer than the month is open.
    await sql`create table contribution_counters (
      tenant_id text not null,
      family text not null,
      grain text not null,
      month int4 not null,
      contributor text not null,
      accepted int2 not null,
      is_full boolean not null,
      cells text not null,
      primary key (tenant_id, family, grain, month, contributor))`.execute(db);
    await sql`create table tenants (
      tenant_id text primary key,
      registered_at_ms int8 not null)`.execute(db);
  },
};
