import { type Kysely, sql } from 'kysely';
import type { ConsumerSchema } from '../consumer/tables.ts';

/**
 * The tables of an event owner (tickets, predictions, usage). In the clear stand tokens, header times, positions and
 * counts; what was decided about a stream lies in `state`, a box under the stream's own key.
 */
export interface EventStoreSchema extends ConsumerSchema {
  /** A ticket, or an incarnation of a user. `position` is that of its last event; 0 before the first. */
  streams: {
    tenant_id: string;
    token: string;
    incarnation: number;
    partition: number;
    position: bigint;
    /** Source time of its first event. */
    opened_at_ms: bigint;
    /** Rises with every change of `state`, and is bound into its box. */
    version: bigint;
    state: Buffer | null;
  };
  /**
   * One row per event for ever: a repeated event is recognised by it. Erasure empties stream, position and digest
   * and leaves the id, which is random or keyed.
   */
  event_index: {
    record_id: string;
    tenant_id: string;
    event_id: string;
    stream_token: string | null;
    stream_incarnation: number | null;
    position: bigint | null;
    partition: number;
    /** Given by the relay; null while the record waits in the outbox. */
    sequence: bigint | null;
    digest: Buffer | null;
  };
  /** Read model: the records of a stream as they went to the log. */
  records: {
    tenant_id: string;
    stream_token: string;
    stream_incarnation: number;
    position: bigint;
    record: Buffer;
  };
  /** How many boxes of a person lie in a stream that is not theirs: what an erasure makes unreadable there. */
  person_boxes: {
    tenant_id: string;
    person_token: string;
    person_incarnation: number;
    stream_token: string;
    stream_incarnation: number;
    boxes: bigint;
  };
  fences: {
    tenant_id: string;
    /** `ticket/<token>` or `person/<token>`. */
    scope: string;
    /** Incarnations up to this one are erased. */
    incarnation: number;
    cut_off_ms: bigint;
  };
  erasure_jobs: {
    tenant_id: string;
    erasure_id: string;
    phase: ErasurePhase;
    created_at_ms: bigint;
    records: bigint;
    rows: bigint;
    boxes_unreadable: bigint;
    ledger_complete: boolean;
  };
  /** What a job has still to remove. */
  erasure_scopes: {
    tenant_id: string;
    erasure_id: string;
    kind: 'ticket' | 'person';
    token: string;
    incarnation: number;
  };
  /** Highest sequence of an erasure's records per partition: analytics must have folded up to there. */
  erasure_heads: {
    tenant_id: string;
    erasure_id: string;
    partition: number;
    sequence: bigint;
  };
}

/** `relay`: pending records must be published · `ledger`: analytics must fold them · then pages are removed. */
export type ErasurePhase = 'relay' | 'ledger' | 'remove' | 'done';

/** Called from the owner's first migration, beside the tables of outbox, consumer and receipts. */
export async function createEventStoreTables<Schema>(db: Kysely<Schema>): Promise<void> {
  for (const statement of [...streamTables, ...erasureTables]) await statement.execute(db);
}

const streamTables = [
  sql`create table streams (
    tenant_id text collate "C" not null, token text collate "C" not null, incarnation int4 not null,
    partition int4 not null, position int8 not null, opened_at_ms int8 not null,
    version int8 not null, state bytea,
    primary key (tenant_id, token, incarnation))`,
  sql`create index streams_newest on streams (tenant_id, opened_at_ms desc, token desc)`,
  sql`create table event_index (
    record_id uuid primary key, tenant_id text collate "C" not null, event_id uuid not null,
    stream_token text collate "C", stream_incarnation int4, position int8, partition int4 not null,
    sequence int8, digest bytea)`,
  sql`create index event_index_stream on event_index (tenant_id, stream_token, stream_incarnation, position)
    where stream_token is not null`,
  sql`create table records (
    tenant_id text collate "C" not null, stream_token text collate "C" not null, stream_incarnation int4 not null,
    position int8 not null, record bytea not null,
    primary key (tenant_id, stream_token, stream_incarnation, position))`,
  // Ciphertext does not compress: do not try.
  sql`alter table records alter column record set storage external`,
  sql`create table person_boxes (
    tenant_id text collate "C" not null, person_token text collate "C" not null, person_incarnation int4 not null,
    stream_token text collate "C" not null, stream_incarnation int4 not null, boxes int8 not null,
    primary key (tenant_id, person_token, person_incarnation, stream_token, stream_incarnation))`,
  sql`create index person_boxes_stream on person_boxes (tenant_id, stream_token, stream_incarnation)`,
];

const erasureTables = [
  sql`create table fences (
    tenant_id text collate "C" not null, scope text collate "C" not null, incarnation int4 not null,
    cut_off_ms int8 not null, primary key (tenant_id, scope))`,
  sql`create table erasure_jobs (
    tenant_id text collate "C" not null, erasure_id uuid not null, phase text not null, created_at_ms int8 not null,
    records int8 not null, rows int8 not null, boxes_unreadable int8 not null, ledger_complete bool not null,
    primary key (tenant_id, erasure_id))`,
  sql`create index erasure_jobs_open on erasure_jobs (created_at_ms) where phase <> 'done'`,
  sql`create table erasure_scopes (
    tenant_id text collate "C" not null, erasure_id uuid not null, kind text not null,
    token text collate "C" not null, incarnation int4 not null, primary key (tenant_id, erasure_id, kind, token))`,
  sql`create table erasure_heads (
    tenant_id text collate "C" not null, erasure_id uuid not null, partition int4 not null, sequence int8 not null,
    primary key (tenant_id, erasure_id, partition))`,
];
