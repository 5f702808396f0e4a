import { type Kysely, sql, type Transaction } from 'kysely';
import { eventIdBytes } from '../ids/ids.ts';
import type { OutboxRow } from './port.ts';
import { storedKind } from './tables.ts';

/**
 * Hands rows to the relay, in the caller's transaction: when it commits they will be on the log, in this order within
 * a partition. `recordedAtMs` of a record must be read from the clock **after** the transaction began: that is what
 * makes the `as_of` of `Heads` true (heads.ts).
 *
 * If the process dies before the commit nothing has happened; after it the relay finds the rows. Wake the relay after
 * the commit; its poll finds them anyway.
 */
export async function enqueue<Schema>(
  tx: Transaction<Schema>,
  topic: string,
  rows: readonly OutboxRow[],
): Promise<void> {
  if (rows.length === 0) return;
  const partitions = rows.map((row) => row.partition);
  const kinds = rows.map((row) => storedKind[row.kind]);
  const eventIds = rows.map((row) => (row.kind === 'tick' ? null : eventIdBytes(row.eventId)));
  const values = rows.map((row) => (row.kind === 'record' ? row.value : null));
  const recordedAtMs = rows.map((row) => (row.kind === 'record' ? row.recordedAtMs : null));
  // Row ids are given in the order of `place`, and the relay goes by row ids.
  await sql`
    insert into outbox (topic, partition, kind, event_id, value, recorded_at_ms)
    select ${topic}, partition, kind, event_id, value, recorded_at_ms
    from unnest(${partitions}::int4[], ${kinds}::int2[], ${eventIds}::bytea[], ${values}::bytea[],
      ${recordedAtMs}::int8[]) with ordinality
      as given(partition, kind, event_id, value, recorded_at_ms, place)
    order by place`.execute(tx);
}

/** What waits for the log. */
export interface PendingStats {
  /** Rows of the outbox, counted up to the caller's bound. */
  readonly rows: number;
  /** Of the rows counted, the bytes of their records. */
  readonly bytes: number;
  /** Of the records counted, milliseconds since 1970; undefined when no record waits. */
  readonly oldestRecordedAtMs: number | undefined;
}

/**
 * For back-pressure: how much of a topic waits. Counts at most `rowsMax` rows, the oldest first, so that a long queue
 * does not make the question dear. Ask at most once a second, not at every append.
 */
export async function pendingStats<Schema>(
  db: Kysely<Schema>,
  topic: string,
  rowsMax: number,
): Promise<PendingStats> {
  // The length of a value is known without reading it: it is stored uncompressed.
  const { rows } = await sql<{ waiting: bigint; bytes: bigint; oldest: bigint | null }>`
    select count(*) as waiting, coalesce(sum(size), 0)::int8 as bytes, min(recorded_at_ms) as oldest
    from (select recorded_at_ms, octet_length(value) as size
      from outbox where topic = ${topic} limit ${rowsMax}) as counted`.execute(db);
  const oldest = rows[0]?.oldest ?? null;
  return {
    rows: Number(rows[0]?.waiting ?? 0n),
    bytes: Number(rows[0]?.bytes ?? 0n),
    oldestRecordedAtMs: oldest === null ? undefined : Number(oldest),
  };
}
