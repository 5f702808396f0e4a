import type { EventLog, LogBatch, LogReader, TopicPartition } from '../event-log/port.ts';

export interface ReadWish {
  /** A consumer group that nothing else reads in. */
  readonly group: string;
  readonly topic: string;
  /** Per partition, one past the last offset that is wanted. */
  readonly ends: readonly bigint[];
  readonly signal: AbortSignal;
}

const recordsPerPoll = 500;
const pollWaitMs = 500;

/**
 * Every entry of a topic from its beginning to the given ends, in order per partition. What a rebalance of the group
 * hands out again comes again: callers go by sequences. Throws when the signal fires.
 */
export async function* readTopic(
  eventLog: Pick<EventLog, 'openReader'>,
  { group, topic, ends, signal }: ReadWish,
): AsyncGenerator<LogBatch> {
  const unread = new Set([...ends.keys()].filter((partition) => (ends[partition] ?? 0n) > 0n));
  if (unread.size === 0) return;
  const assigned = new Set<number>();
  const reader = await eventLog.openReader({
    group,
    topics: [topic],
    startAt: async (partitions) => {
      for (const { partition } of partitions) assigned.add(partition);
      return partitions.map(() => 0n);
    },
  });
  try {
    while (unread.size > 0) {
      signal.throwIfAborted();
      const batches = await reader.poll({ recordsMax: recordsPerPoll, waitMs: pollWaitMs, signal });
      for (const { partition, entries } of batches) {
        const wanted = entries.filter(({ offset }) => offset < (ends[partition] ?? 0n));
        if (wanted.length > 0) yield { topic, partition, entries: wanted };
      }
      for (const partition of unread) {
        if (assigned.has(partition) && hasReached(reader, { topic, partition }, ends)) {
          unread.delete(partition);
        }
      }
    }
  } finally {
    await reader.close();
  }
}

function hasReached(reader: LogReader, at: TopicPartition, ends: readonly bigint[]): boolean {
  if (reader.position(at) < (ends[at.partition] ?? 0n)) return false;
  reader.pause(at);
  return true;
}
