import type { Kysely } from 'kysely';
import type { EventLog, TopicPartition } from '../event-log/port.ts';
import { type Checkpoint, firstCheckpoint, readCheckpoints } from './checkpoints.ts';
import { nameOf } from './positions.ts';

/**
 * Partitions, by name, that end before their checkpoint, and where: LOG_BEHIND_CHECKPOINT, as the log is an older copy,
 * or one with other offsets. Read on, its owner's next records would have sequences that were applied before, and be
 * skipped as duplicates. To be asked before reading begins and never twice: a log that has grown past its checkpoint
 * since looks like any. `checkpoints` in the order of `partitions`, read before.
 */
export async function partitionsBehind(
  eventLog: EventLog,
  partitions: readonly TopicPartition[],
  checkpoints: readonly Checkpoint[],
): Promise<ReadonlyMap<string, string>> {
  const read = partitions.flatMap((partition, index) => {
    const { nextOffset } = checkpoints[index] ?? { nextOffset: 0n };
    return nextOffset === 0n ? [] : [{ partition, nextOffset }];
  });
  const behind = new Map<string, string>();
  for (const topic of new Set(read.map(({ partition }) => partition.topic))) {
    const ends = await eventLog.endOffsets(topic);
    for (const { partition, nextOffset } of read) {
      const end = partition.topic === topic ? ends[partition.partition] : undefined;
      if (end === undefined || end >= nextOffset) continue;
      behind.set(nameOf(partition), `ends at ${end}, read up to ${nextOffset}`);
    }
  }
  return behind;
}

/** Where a partition's reading goes on, and why it must not. */
export interface Start {
  readonly partition: TopicPartition;
  readonly checkpoint: Checkpoint;
  /** See `partitionsBehind`. */
  readonly problem: string | undefined;
}

/** The stored checkpoints of partitions that are about to be read, in the order asked. */
export async function readStarts<Schema>(
  db: Kysely<Schema>,
  eventLog: EventLog,
  partitions: readonly TopicPartition[],
): Promise<readonly Start[]> {
  const checkpoints = await readCheckpoints(db, partitions);
  const behind = await partitionsBehind(eventLog, partitions, checkpoints);
  return partitions.map((partition, index) => ({
    partition,
    checkpoint: checkpoints[index] ?? firstCheckpoint,
    problem: behind.get(nameOf(partition)),
  }));
}
