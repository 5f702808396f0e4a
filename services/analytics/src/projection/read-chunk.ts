import type { Checkpoint } from '@lethe/platform/consumer/checkpoints.ts';
import { classify } from '@lethe/platform/consumer/classify.ts';
import { classifyOverErased, SequenceGapError } from '@lethe/platform/consumer/missing.ts';
import type { NewRecord } from '@lethe/platform/consumer/port.ts';
import type { LogEntry, LogReader, TopicPartition } from '@lethe/platform/event-log/port.ts';
import type { Peers } from '@lethe/platform/grpc/handler.ts';
import type { Clock } from '@lethe/platform/lifecycle/clock.ts';
import type { OwnedPartition, OwnedPartitions } from './owned-partitions.ts';
import { partitionName } from './partition-name.ts';

/** What was read of one partition: the records that are new, and where its checkpoint goes with them. */
export interface ReadPartition extends TopicPartition {
  readonly from: Checkpoint;
  readonly to: Checkpoint;
  /** In log order. */
  readonly fresh: readonly NewRecord[];
  /** Why the partition stops once this is committed. */
  readonly problem: string | undefined;
}

export interface ReadPorts {
  readonly reader: LogReader;
  readonly owned: OwnedPartitions;
  readonly peers: Peers;
  readonly clock: Clock;
  readonly recordsMax: number;
  /** How long a chunk is filled after its first entry. */
  readonly fillMs: number;
  /** How long to wait for a first entry. */
  readonly idleMs: number;
}

/**
 * Bytes of records from which on a chunk is full, give or take one poll of the log (8 MiB): a projection that is far
 * behind finds as many records as it asks for, and each may have 900 KiB.
 */
export const chunkBytesMax = 32 * 1024 * 1024;

/**
 * Reads a chunk over all owned partitions: at most `recordsMax` entries, `chunkBytesMax` or `fillMs` of them. Empty when
 * there was nothing for `idleMs`. Nothing is committed here: if the process dies, the same entries are read again.
 */
export async function readChunk(
  ports: ReadPorts,
  signal: AbortSignal,
): Promise<readonly ReadPartition[]> {
  const entries = await pollEntries(ports, signal);
  const read: ReadPartition[] = [];
  for (const { partition, entries: found } of entries) {
    const owned = ports.owned.get(partition);
    // Entries that were on their way when the partition stopped.
    if (owned.problem === undefined) read.push(await readPartition(ports, owned, found, signal));
  }
  return read;
}

interface PolledEntries {
  readonly partition: TopicPartition;
  readonly entries: LogEntry[];
}

async function pollEntries(
  { reader, clock, recordsMax, fillMs, idleMs }: ReadPorts,
  signal: AbortSignal,
): Promise<readonly PolledEntries[]> {
  const polled = new Map<string, PolledEntries>();
  let left = recordsMax;
  let bytesLeft = chunkBytesMax;
  let untilMs = clock.monotonicMs() + idleMs;
  while (left > 0 && bytesLeft > 0 && !signal.aborted) {
    const waitMs = Math.max(0, untilMs - clock.monotonicMs());
    const batches = await reader.poll({ recordsMax: left, waitMs, signal });
    if (batches.length === 0) break;
    if (polled.size === 0) untilMs = clock.monotonicMs() + fillMs;
    for (const { topic, partition, entries } of batches) {
      const name = partitionName(topic, partition);
      const known = polled.get(name);
      if (known === undefined) {
        polled.set(name, { partition: { topic, partition }, entries: [...entries] });
      } else {
        known.entries.push(...entries);
      }
      left -= entries.length;
      bytesLeft -= entries.reduce((sum, entry) => sum + bytesOf(entry), 0);
    }
  }
  return [...polled.values()];
}

function bytesOf(entry: LogEntry): number {
  return entry.kind === 'record' ? entry.value.length : 0;
}

async function readPartition(
  { reader, peers }: ReadPorts,
  owned: OwnedPartition,
  entries: readonly LogEntry[],
  signal: AbortSignal,
): Promise<ReadPartition> {
  const { topic, partition, checkpoint: from } = owned;
  try {
    const { next, fresh, gap, malformed } = owned.isReadAgain
      ? await classifyOverErased(peers, owned, from, entries, signal)
      : classify(from, entries);
    owned.isReadAgain = gap !== undefined;
    // What lies behind a gap was not looked at: it is handed out again, after what lies before it is committed.
    if (gap !== undefined) reader.seek(owned, next.nextOffset);
    const problem = malformed === undefined ? undefined : `sequence ${malformed} is no record`;
    return { topic, partition, from, to: next, fresh, problem };
  } catch (error) {
    if (!(error instanceof SequenceGapError)) throw error;
    return { topic, partition, from, to: from, fresh: [], problem: error.message };
  }
}
