import { createOutboxTables } from '@lethe/platform/outbox/tables.ts';
import { type Kysely, sql } from 'kysely';
import type { Migration } from 'kysely/migration';

const statements = [
  // `registered_at_ms` is null while the tenant's keys are being made: the row then only claims id and settings.
  sql`create table tenants (
    tenant_id text primary key,
    region text not null,
    retention_days int4 not null,
    returning_persons int4 not null,
    registered_at_ms int8)`,
  // `person_tokens`: 16 bytes each, one after another. `scopes_erased`: the encoded ScopesErased of the log.
  sql`create table erasures (
    erasure_id text primary key,
    tenant_id text not null,
    ground int4 not null,
    person_tokens bytea not null,
    requested_at_ms int8 not null,
    events int4 not null,
    is_open boolean not null,
    scopes_erased bytea,
    keys_destroyed int4,
    fenced_at_ms int8,
    unreadable_at_ms int8,
    purged_at_ms int8,
    physically_gone_by_ms int8,
    certificate_jws text)`,
  // A compressed value would hide from a search for what must not be in it.
  sql`alter table erasures alter column certificate_jws set storage external`,
  sql`create index erasures_newest on erasures (tenant_id, requested_at_ms, erasure_id)`,
  sql`create index erasures_open on erasures (erasure_id) where is_open`,
  sql`create table erasure_receipts (
    erasure_id text not null references erasures,
    service text not null,
    receipt bytea not null,
    primary key (erasure_id, service))`,
];

export const createPrivacyTables: Migration = {
  up: async (db: Kysely<unknown>) => {
    for (const statement of statements) await statement.execute(db);
    await createOutboxTables(db);
  },
};
