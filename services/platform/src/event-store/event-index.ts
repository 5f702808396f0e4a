import { sql, type Transaction } from 'kysely';
import type { EventId, TenantId, Token } from '../ids/ids.ts';
import type { SequencedRow } from '../outbox/port.ts';
import type { EventStoreSchema } from './tables.ts';

/** What the index knows of an event. Without `stream` the event was erased. */
export interface IndexedEvent {
  readonly stream:
    | {
        readonly token: string;
        readonly incarnation: number;
        readonly position: number;
        readonly digest: Buffer;
      }
    | undefined;
}

/** A row to insert. */
export interface IndexRow {
  readonly recordId: EventId;
  readonly eventId: EventId;
  readonly streamToken: Token;
  readonly streamIncarnation: number;
  readonly position: number;
  readonly partition: number;
  readonly digest: Buffer;
}

/** What is known of these events, by record id. */
export async function findIndexed(
  tx: Transaction<EventStoreSchema>,
  recordIds: readonly EventId[],
): Promise<ReadonlyMap<string, IndexedEvent>> {
  const { rows } = await sql<EventStoreSchema['event_index']>`
    select record_id, stream_token, stream_incarnation, position, digest from event_index
    where record_id = any(${recordIds}::uuid[])`.execute(tx);
  return new Map(rows.map((row) => [row.record_id, indexedOfRow(row)]));
}

function indexedOfRow(row: EventStoreSchema['event_index']): IndexedEvent {
  const { stream_token: token, stream_incarnation: incarnation, position, digest } = row;
  if (token === null || incarnation === null || position === null || digest === null) {
    return { stream: undefined };
  }
  return { stream: { token, incarnation, position: Number(position), digest } };
}

/** Throws a DatabaseError with a unique violation when another transaction was faster with one of the ids. */
export async function insertIndexRows(
  tx: Transaction<EventStoreSchema>,
  tenantId: TenantId,
  rows: readonly IndexRow[],
): Promise<void> {
  await sql`
    insert into event_index (record_id, tenant_id, event_id, stream_token, stream_incarnation, position, partition,
      digest)
    select record_id, ${tenantId}, event_id, stream_token, stream_incarnation, position, partition, digest
    from unnest(${rows.map((row) => row.recordId)}::uuid[], ${rows.map((row) => row.eventId)}::uuid[],
      ${rows.map((row) => row.streamToken)}::text[], ${rows.map((row) => row.streamIncarnation)}::int4[],
      ${rows.map((row) => row.position)}::int8[], ${rows.map((row) => row.partition)}::int4[],
      ${rows.map((row) => row.digest)}::bytea[])
      as appended (record_id, event_id, stream_token, stream_incarnation, position, partition, digest)`.execute(
    tx,
  );
}

/** The relay's `onSequenced`: the sequence of each record, in the transaction that gives it. */
export async function storeSequences(
  tx: Transaction<EventStoreSchema>,
  rows: readonly SequencedRow[],
): Promise<void> {
  if (rows.length === 0) return;
  await sql`
    update event_index set sequence = given.sequence
    from unnest(${rows.map((row) => row.eventId)}::uuid[], ${rows.map((row) => row.sequence)}::int8[])
      as given (record_id, sequence)
    where event_index.record_id = given.record_id`.execute(tx);
}
