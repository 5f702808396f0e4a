import { createConsumerTables } from '@lethe/platform/consumer/tables.ts';
import { createReceiptTables } from '@lethe/platform/receipts/receipts.ts';
import { type Kysely, sql } from 'kysely';
import type { Migration } from 'kysely/migration';

/**
 * `data_keys` is laid out for ten million rows of persons in about 2 GB: fixed-width columns first and widest first, so
 * that nothing is padded; no column is ever null, or the row header would grow by eight bytes; the key id is not stored
 * but for two bytes of it (it is a hash of the key that is unwrapped anyway); the digest key is derived from the first
 * generation's key. A person's row takes 128 bytes and a line pointer, its index entry 44.
 */
const statements = [
  sql`create table tenants (
    tenant_number int4 generated always as identity primary key,
    tenant_id text not null unique,
    may_return boolean not null,
    newest_tenant_key int4 not null,
    token_key bytea not null)`,
  sql`create table tenant_keys (
    tenant_number int4 not null references tenants,
    number int4 not null,
    wrapped bytea not null,
    created_at_ms int8 not null,
    primary key (tenant_number, number))`,
  sql`create table data_keys (
    tenant_number int4 not null,
    generation int4 not null,
    claimed_messages int4 not null,
    claimed_kib int4 not null,
    created_minute int4 not null,
    incarnation int2 not null,
    key_id_start int2 not null,
    scope bytea not null,
    wrapped bytea not null,
    owner bytea not null,
    primary key (tenant_number, scope, incarnation, generation))`,
  sql`create index data_keys_by_owner on data_keys (tenant_number, owner) where owner <> ''::bytea`,
  sql`create table fences (
    tenant_number int4 not null,
    scope bytea not null,
    incarnation int4 not null,
    cut_off_ms int8 not null,
    primary key (tenant_number, scope))`,
  sql`create table aliases (
    tenant_number int4 not null,
    alias bytea not null,
    person bytea not null,
    primary key (tenant_number, alias, person))`,
  sql`create table contributor_keys (
    tenant_number int4 not null,
    month int4 not null,
    wrapped bytea not null,
    primary key (tenant_number, month))`,
  sql`create table erasures (
    tenant_number int4 not null,
    erasure_id text not null,
    fenced_at_ms int8 not null,
    keys_destroyed int4 not null,
    answer bytea not null,
    unreadable_at_ms int8,
    primary key (tenant_number, erasure_id))`,
  sql`create index erasures_still_readable on erasures (tenant_number)
    where unreadable_at_ms is null`,
];

async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await statement.execute(db);
  await createReceiptTables(db);
  await createConsumerTables(db);
}

export const createKeysTables: Migration = { up };
