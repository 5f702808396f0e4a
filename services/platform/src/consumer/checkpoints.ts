import { type Kysely, sql, type Transaction } from 'kysely';
import { ServiceError } from '../errors/service-error.ts';
import type { TopicPartition } from '../event-log/port.ts';

/** How far a partition has been consumed. */
export interface Checkpoint {
  /** Of the last record applied; 0n before the first. Sequences erased before they were read count as applied. */
  readonly sequence: bigint;
  /** Where reading goes on. */
  readonly nextOffset: bigint;
}

/** A partition's checkpoint goes `from` what its owner last saw `to` the next. */
export interface CheckpointMove extends TopicPartition {
  readonly from: Checkpoint;
  readonly to: Checkpoint;
}

/** Of a partition that was never consumed. */
export const firstCheckpoint: Checkpoint = { sequence: 0n, nextOffset: 0n };

/** The stored checkpoints of these partitions, in the order asked. */
export async function readCheckpoints<Schema>(
  db: Kysely<Schema>,
  partitions: readonly TopicPartition[],
): Promise<readonly Checkpoint[]> {
  if (partitions.length === 0) return [];
  const { rows } = await sql<{ sequence: bigint; next_offset: bigint }>`
    select coalesce(sequence, 0) as sequence, coalesce(next_offset, 0) as next_offset
    from unnest(${partitions.map((each) => each.topic)}::text[],
      ${partitions.map((each) => each.partition)}::int4[])
      with ordinality as asked(topic, partition, place)
    left join checkpoints using (topic, partition)
    order by place`.execute(db);
  return rows.map((row) => ({ sequence: row.sequence, nextOffset: row.next_offset }));
}

/**
 * The first statement of every transaction that applies records: moves the checkpoints of all given partitions, or
 * throws CHECKPOINT_MOVED when any of them is not where its owner last saw it; the transaction must then be rolled
 * back. Rows are locked in the order of topic and partition, so that two owners never wait for each other in a circle.
 *
 * The first checkpoint of a partition is inserted. Two owners that both insert meet at the primary key: the second
 * waits for the first, then finds a row that is not at zero.
 */
export async function compareAndSetCheckpoints<Schema>(
  tx: Transaction<Schema>,
  moves: readonly CheckpointMove[],
): Promise<void> {
  if (moves.length === 0) return;
  // The condition of the update sees the row as it is once it is locked, not as this statement's snapshot has it. A
  // row that is expected and missing (the database was replaced) must not be inserted: hence `exists`.
  const { rows } = await sql<{ partition: number }>`
    with moves as (
      select * from unnest(
        ${moves.map((move) => move.topic)}::text[],
        ${moves.map((move) => move.partition)}::int4[],
        ${moves.map((move) => move.from.sequence)}::int8[],
        ${moves.map((move) => move.from.nextOffset)}::int8[],
        ${moves.map((move) => move.to.sequence)}::int8[],
        ${moves.map((move) => move.to.nextOffset)}::int8[])
        as given(topic, partition, from_sequence, from_offset, to_sequence, to_offset))
    insert into checkpoints as stored (topic, partition, sequence, next_offset)
    select topic, partition, to_sequence, to_offset from moves
    where from_sequence = 0 and from_offset = 0 or exists (
      select 1 from checkpoints as known
      where known.topic = moves.topic and known.partition = moves.partition)
    order by topic, partition
    on conflict (topic, partition) do update
      set sequence = excluded.sequence, next_offset = excluded.next_offset
      where (stored.sequence, stored.next_offset) = (
        select from_sequence, from_offset from moves
        where moves.topic = excluded.topic and moves.partition = excluded.partition)
    returning partition`.execute(tx);
  if (rows.length === moves.length) return;
  const names = moves.map(({ topic, partition }) => `${topic}/${partition}`).join(', ');
  throw new ServiceError('CHECKPOINT_MOVED', `another owner moved a checkpoint of ${names}`);
}
