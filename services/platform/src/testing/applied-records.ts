import { type Kysely, sql } from 'kysely';
import { type ConsumerSchema, createConsumerTables } from '../consumer/tables.ts';
import type { ConsumerEffect, NewRecord } from '../consumer/port.ts';
import type { TopicPartition } from '../event-log/port.ts';

/** A schema whose only business is to say what a consumer applied, in the order in which it did. */
export interface AppliedSchema extends ConsumerSchema {
  applied: { place: bigint; topic: string; partition: number; sequence: bigint; event_id: Buffer };
}

/** Nothing here refuses a record that is applied twice: tests look for it. */
export async function createAppliedTables(db: Kysely<AppliedSchema>): Promise<void> {
  await createConsumerTables(db);
  await sql`create table applied (
    place int8 generated always as identity primary key,
    topic text not null, partition int4 not null, sequence int8 not null, event_id bytea not null)`.execute(
    db,
  );
}

export async function clearApplied(db: Kysely<AppliedSchema>): Promise<void> {
  await sql`truncate applied, checkpoints`.execute(db);
}

/** Sequences applied of a partition, in the order in which they were. */
export async function appliedOf(
  db: Kysely<AppliedSchema>,
  { topic, partition }: TopicPartition,
): Promise<bigint[]> {
  const { rows } = await sql<{ sequence: bigint }>`select sequence from applied
    where topic = ${topic} and partition = ${partition} order by place`.execute(db);
  return rows.map((row) => row.sequence);
}

export interface AppliedBatch {
  readonly from: TopicPartition;
  readonly records: readonly NewRecord[];
}

export type EffectStep = 'prepare' | 'before-write' | 'after-write' | 'committed';

/** Stores what it is given; `at` is called at each step and may throw, or wait where an effect may. */
export function storeApplied(
  at: (step: EffectStep, batch: AppliedBatch) => void | Promise<void> = () => {},
): ConsumerEffect<AppliedSchema, AppliedBatch> {
  return {
    prepare: async (from, records) => {
      await at('prepare', { from, records });
      return { from, records };
    },
    apply: async (tx, batch) => {
      await at('before-write', batch);
      const { from, records } = batch;
      await sql`insert into applied (topic, partition, sequence, event_id)
        select ${from.topic}, ${from.partition}, sequence, event_id from unnest(
          ${records.map((each) => each.sequence)}::int8[],
          ${records.map((each) => each.record.header?.eventId)}::bytea[])
          with ordinality as given(sequence, event_id, place) order by place`.execute(tx);
      await at('after-write', batch);
    },
    committed: (batch) => {
      void at('committed', batch);
    },
  };
}
