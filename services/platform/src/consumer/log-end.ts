import type { Kysely } from 'kysely';
import { ServiceError } from '../errors/service-error.ts';
import type { EventLog, TopicPartition } from '../event-log/port.ts';
import { type Checkpoint, readCheckpoints } from './checkpoints.ts';
import { nameOf } from './positions.ts';

/** How many partitions an error names. */
const namedMax = 5;

/**
 * Throws LOG_BEHIND_CHECKPOINT when a partition ends before its checkpoint: the log is an older copy, or one with other
 * offsets. Read on, its owner's next records would have sequences that were applied before, and be skipped as duplicates.
 * To be asked before reading begins; `checkpoints` in the order of `partitions`.
 */
export async function requireLogReaches(
  eventLog: EventLog,
  partitions: readonly TopicPartition[],
  checkpoints: readonly Checkpoint[],
): Promise<void> {
  const read = partitions.flatMap((partition, index) => {
    const { nextOffset } = checkpoints[index] ?? { nextOffset: 0n };
    return nextOffset === 0n ? [] : [{ partition, nextOffset }];
  });
  const behind: string[] = [];
  for (const topic of new Set(read.map(({ partition }) => partition.topic))) {
    const ends = await eventLog.endOffsets(topic);
    for (const { partition, nextOffset } of read) {
      const end = partition.topic === topic ? ends[partition.partition] : undefined;
      if (end === undefined || end >= nextOffset) continue;
      behind.push(`${nameOf(partition)} ends at ${end}, read up to ${nextOffset}`);
    }
  }
  if (behind.length === 0) return;
  const more = behind.length > namedMax ? `; ${behind.length - namedMax} more` : '';
  const problem = `${behind.slice(0, namedMax).join('; ')}${more}`;
  const message = `the log is older than what was read of it: ${problem}`;
  throw new ServiceError('LOG_BEHIND_CHECKPOINT', message, { problem });
}

/** The stored checkpoints, none of them behind the end of its partition: see `requireLogReaches`. */
export async function readCheckpointsWithin<Schema>(
  db: Kysely<Schema>,
  eventLog: EventLog,
  partitions: readonly TopicPartition[],
): Promise<readonly Checkpoint[]> {
  const checkpoints = await readCheckpoints(db, partitions);
  await requireLogReaches(eventLog, partitions, checkpoints);
  return checkpoints;
}
