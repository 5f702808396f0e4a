import type { Kysely } from 'kysely';
import { ServiceError } from '../errors/service-error.ts';
import type { EventLog, TopicPartition } from '../event-log/port.ts';
import type { Clock } from '../lifecycle/clock.ts';
import { sleepQuietly } from '../lifecycle/wakeable.ts';
import { isTransient } from '../retry/is-transient.ts';
import { type Checkpoint, readCheckpoints } from './checkpoints.ts';
import { nameOf } from './positions.ts';

/** How many partitions an error names. */
const namedMax = 5;
/**
 * A broker that moves its partitions answers late, or with an end of before: neither costs the group another rebalance,
 * nor is it a verdict.
 */
const looksMax = 3;
const lookAgainMs = 2_000;

export interface LogEndPorts {
  readonly eventLog: EventLog;
  readonly clock: Clock;
  /** Ends the pause before another look. */
  readonly signal?: AbortSignal;
}

/**
 * Throws LOG_BEHIND_CHECKPOINT when a partition ends before its checkpoint: the log is an older copy, or one with other
 * offsets. Read on, its owner's next records would have sequences that were applied before, and be skipped as duplicates.
 * To be asked before reading begins, as a log that has grown past the checkpoint again looks like any; `checkpoints` in the
 * order of `partitions`, read before this is called.
 */
export async function requireLogReaches(
  { eventLog, clock, signal = new AbortController().signal }: LogEndPorts,
  partitions: readonly TopicPartition[],
  checkpoints: readonly Checkpoint[],
): Promise<void> {
  for (let look = 1; ; look += 1) {
    try {
      const behind = await partitionsBehind(eventLog, partitions, checkpoints);
      if (behind.length === 0) return;
      if (look === looksMax) throw verdict(behind);
    } catch (error) {
      if (look === looksMax || !isTransient(error)) throw error;
    }
    await sleepQuietly(clock, lookAgainMs, signal);
    signal.throwIfAborted();
  }
}

/** The stored checkpoints, none of them beyond the end of its partition: see `requireLogReaches`. */
export async function readReachedCheckpoints<Schema>(
  db: Kysely<Schema>,
  ports: LogEndPorts,
  partitions: readonly TopicPartition[],
): Promise<readonly Checkpoint[]> {
  const checkpoints = await readCheckpoints(db, partitions);
  await requireLogReaches(ports, partitions, checkpoints);
  return checkpoints;
}

async function partitionsBehind(
  eventLog: EventLog,
  partitions: readonly TopicPartition[],
  checkpoints: readonly Checkpoint[],
): Promise<readonly string[]> {
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
  return behind;
}

function verdict(behind: readonly string[]): ServiceError {
  const more = behind.length > namedMax ? `; ${behind.length - namedMax} more` : '';
  const problem = `${behind.slice(0, namedMax).join('; ')}${more}`;
  return new ServiceError('LOG_BEHIND_CHECKPOINT', undefined, { problem });
}
