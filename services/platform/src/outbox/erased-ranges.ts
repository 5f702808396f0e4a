import { type Kysely, sql, type Transaction } from 'kysely';

/** Sequences `first` to `last`, both included. */
export interface SequenceRun {
  readonly first: bigint;
  readonly last: bigint;
}

/** Merges runs that overlap or touch; ascending. */
export function mergeRuns(runs: readonly SequenceRun[]): SequenceRun[] {
  const merged: { first: bigint; last: bigint }[] = [];
  for (const run of runs.toSorted((a, b) => (a.first < b.first ? -1 : 1))) {
    const newest = merged.at(-1);
    if (newest === undefined || run.first > newest.last + 1n) merged.push({ ...run });
    else if (run.last > newest.last) newest.last = run.last;
  }
  return merged;
}

/**
 * Notes that these sequences are gone from the log, or will be in a moment; in the transaction that erases, before the
 * tombstone records are handed to the relay, so that whoever meets the gap finds it listed. Idempotent.
 */
export async function recordErased<Schema>(
  tx: Transaction<Schema>,
  topic: string,
  partition: number,
  sequences: readonly bigint[],
): Promise<void> {
  if (sequences.length === 0) return;
  const runs = mergeRuns(sequences.map((sequence) => ({ first: sequence, last: sequence })));
  // Two erasures at once must not both merge with the same neighbour; the counter's row is the partition's lock.
  await sql`insert into partition_counters (topic, partition) values (${topic}, ${partition})
    on conflict (topic, partition) do nothing`.execute(tx);
  await sql`select 1 from partition_counters
    where topic = ${topic} and partition = ${partition} for update`.execute(tx);
  const { rows: neighbours } = await sql<SequenceRun>`
    delete from erased_ranges as stored
    using unnest(${runs.map((run) => run.first)}::int8[], ${runs.map((run) => run.last)}::int8[])
      as given(first, last)
    where stored.topic = ${topic} and stored.partition = ${partition} and (
      stored.first_sequence between given.first and given.last + 1
      or stored.first_sequence = (select max(before.first_sequence) from erased_ranges as before
        where before.topic = ${topic} and before.partition = ${partition}
          and before.first_sequence < given.first)
        and stored.last_sequence >= given.first - 1)
    returning stored.first_sequence as first, stored.last_sequence as last`.execute(tx);
  const merged = mergeRuns([...runs, ...neighbours]);
  await sql`
    insert into erased_ranges (topic, partition, first_sequence, last_sequence)
    select ${topic}, ${partition}, first, last from unnest(
      ${merged.map((run) => run.first)}::int8[], ${merged.map((run) => run.last)}::int8[])
      as given(first, last)`.execute(tx);
}

/** The erased sequences within [`first`, `last`], clipped to it, ascending and disjoint. */
export async function erasedWithin<Schema>(
  db: Kysely<Schema>,
  topic: string,
  partition: number,
  { first, last }: SequenceRun,
): Promise<SequenceRun[]> {
  const { rows } = await sql<SequenceRun>`
    select greatest(first_sequence, ${first}::int8) as first,
      least(last_sequence, ${last}::int8) as last
    from erased_ranges
    where topic = ${topic} and partition = ${partition}
      and first_sequence <= ${last}::int8 and last_sequence >= ${first}::int8
    order by first_sequence`.execute(db);
  return rows;
}
