import { type Kysely, sql, type Transaction } from 'kysely';
import type { TopicPartition } from '../event-log/port.ts';
import { recordErased } from './erased-ranges.ts';

/** What an owner's tables say of a partition. */
export interface CounterState {
  readonly partition: number;
  readonly lastSequence: bigint;
  /** The log may end here or anywhere up to `lastSequence`: what is above it was on its way. */
  readonly lastPublished: bigint;
}

/** The counters of a topic; none when its owner never started. */
export async function readCounters<Schema>(
  db: Kysely<Schema>,
  topic: string,
): Promise<readonly CounterState[]> {
  const { rows: tables } = await sql<{ present: boolean }>`
    select to_regclass('partition_counters') is not null as present`.execute(db);
  if (tables[0]?.present !== true) return [];
  const { rows } = await sql<{ partition: number; last: bigint; first: bigint | null }>`
    select partition, last_sequence as last, batch_first_sequence as first from partition_counters
    where topic = ${topic} order by partition`.execute(db);
  return rows.map(({ partition, last, first }) => ({
    partition,
    lastSequence: last,
    lastPublished: first === null ? last : first - 1n,
  }));
}

/**
 * The table takes the log's end for its own. Everything that the log has must have been numbered and dropped before;
 * rows of a batch that was on its way and did not arrive wait again, and get numbers anew.
 */
export async function settleCounter<Schema>(
  tx: Transaction<Schema>,
  { topic, partition }: TopicPartition,
  lastOnLog: bigint,
): Promise<void> {
  await sql`insert into partition_counters (topic, partition, last_sequence)
    values (${topic}, ${partition}, ${lastOnLog}::int8)
    on conflict (topic, partition) do update set last_sequence = excluded.last_sequence,
      batch_first_sequence = null, batch_row_ids = null`.execute(tx);
}

/** Drops the waiting rows of records that the log has. */
export async function dropPublished<Schema>(
  tx: Transaction<Schema>,
  topic: string,
  recordKeys: readonly Uint8Array[],
): Promise<void> {
  await sql`delete from outbox where topic = ${topic} and kind = 1
    and event_id = any(${recordKeys.map((each) => Buffer.from(each))}::bytea[])`.execute(tx);
}

/** Lists sequences as erased and hands tombstone records for what is left of them on the log to the relay. */
export async function eraseFromLog<Schema>(
  tx: Transaction<Schema>,
  { topic, partition }: TopicPartition,
  sequences: readonly bigint[],
  recordKeys: readonly Uint8Array[],
): Promise<void> {
  await recordErased(tx, topic, partition, sequences);
  if (recordKeys.length === 0) return;
  await sql`insert into outbox (topic, partition, kind, event_id)
    select ${topic}, ${partition}, 2, event_id
    from unnest(${recordKeys.map((each) => Buffer.from(each))}::bytea[]) as given(event_id)`.execute(
    tx,
  );
}

/** Every erased sequence of a topic, by partition, as disjoint ascending runs. */
export async function readErasedRuns<Schema>(
  db: Kysely<Schema>,
  topic: string,
): Promise<ReadonlyMap<number, readonly { readonly first: bigint; readonly last: bigint }[]>> {
  const { rows } = await sql<{ partition: number; first: bigint; last: bigint }>`
    select partition, first_sequence as first, last_sequence as last from erased_ranges
    where topic = ${topic} order by partition, first_sequence`.execute(db);
  return Map.groupBy(rows, ({ partition }) => partition);
}
