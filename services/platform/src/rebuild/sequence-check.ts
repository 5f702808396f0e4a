import { type Kysely, sql } from 'kysely';
import { firstUnlisted, spanText } from '../consumer/classify.ts';
import { ServiceError } from '../errors/service-error.ts';
import { erasedWithin } from '../outbox/erased-ranges.ts';

/** Holds that the log has every record of a topic that was published and not erased. */
export interface SequenceCheck {
  /** False when the sequence was seen before. Throws SEQUENCE_GAP for one that the log lacks. */
  record(partition: number, sequence: bigint): Promise<boolean>;
  /** A tick says how far the sequences went before it. */
  tick(partition: number, lastSequence: bigint): Promise<void>;
  /** At the end of the log. */
  end(): Promise<void>;
}

/** `published`: per partition, the last sequence that is known to be on the log. */
export function createSequenceCheck<Schema>(
  db: Kysely<Schema>,
  topic: string,
  published: readonly bigint[],
): SequenceCheck {
  const lastSeen = new Map<number, bigint>();
  const seenOf = (partition: number): bigint => lastSeen.get(partition) ?? 0n;
  const passOver = async (partition: number, last: bigint): Promise<void> => {
    const first = seenOf(partition) + 1n;
    if (first > last) return;
    const erased = await erasedWithin(db, topic, partition, { first, last });
    const spans = erased.map((run) => ({ from: run.first, to: run.last }));
    const gap = firstUnlisted({ from: first, to: last }, spans);
    if (gap !== undefined) {
      throw new ServiceError(
        'SEQUENCE_GAP',
        `${topic}/${partition}: ${spanText(gap)} are neither on the log nor listed as erased; nothing was rebuilt`,
      );
    }
    lastSeen.set(partition, last);
  };
  return {
    record: async (partition, sequence) => {
      if (sequence <= seenOf(partition)) return false;
      await passOver(partition, sequence - 1n);
      lastSeen.set(partition, sequence);
      return true;
    },
    tick: passOver,
    end: async () => {
      for (const [partition, last] of published.entries()) await passOver(partition, last);
    },
  };
}

/** Per partition, the last sequence whose row has left the outbox, so that the log has it. */
export async function publishedSequences<Schema>(
  db: Kysely<Schema>,
  topic: string,
  partitions: number,
): Promise<readonly bigint[]> {
  const { rows } = await sql<{ partition: number; published: bigint }>`
    select partition, coalesce(batch_first_sequence - 1, last_sequence) as published
    from partition_counters where topic = ${topic}`.execute(db);
  const published = new Map(rows.map((row) => [row.partition, row.published]));
  return Array.from({ length: partitions }, (_, partition) => published.get(partition) ?? 0n);
}
