import type { Checkpoint } from '@lethe/platform/consumer/checkpoints.ts';
import { classify, type UnusableRecord } from '@lethe/platform/consumer/classify.ts';
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
  /** Records among them that cannot be used as they are, in log order: they are parked. */
  readonly unusable: readonly UnusableRecord[];
  /** As they were read, these and others. */
  readonly entries: readonly LogEntry[];
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
    // Entries that were on their way when the partition stopped, or all of them where it never began.
    if (owned.problem === undefined) read.push(await readPartition(ports, owned, found, signal));
    else ports.reader.pause(partition);
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
    const first = classify(from, entries, [], 'collect');
    // Another gap than the one that was read again for has not been read again itself.
    const isStillThere = first.gap !== undefined && first.gap.from === owned.rereadFor;
    const { next, fresh, unusable, gap } = isStillThere
      ? await classifyOverErased(peers, owned, from, entries, signal, 'collect')
      : first;
    owned.rereadFor = gap?.from;
    // What lies behind a gap was not looked at: it is handed out again, after what lies before it is committed.
    if (gap !== undefined) reader.seek(owned, next.nextOffset);
    return { topic, partition, from, to: next, fresh, unusable, entries, problem: undefined };
  } catch (error) {
    if (!(error instanceof SequenceGapError)) throw error;
    const nothing = { fresh: [], unusable: [], entries: [] };
    return { topic, partition, from, to: from, ...nothing, problem: error.message };
  }
}

/** What of it lies before a sequence; the partition stops there once that is committed. */
export function cutBefore(part: ReadPartition, sequence: bigint, problem: string): ReadPartition {
  const at = part.entries.find((entry) => entry.kind === 'record' && entry.sequence === sequence);
  const fresh = part.fresh.filter((record) => record.sequence < sequence);
  const unusable = part.unusable.filter(({ entry }) => entry.sequence < sequence);
  const last = [fresh.at(-1)?.sequence, unusable.at(-1)?.entry.sequence, part.from.sequence];
  const offset = at?.offset ?? part.from.nextOffset;
  const to = {
    sequence: last.flatMap((each) => each ?? []).reduce((a, b) => (a > b ? a : b)),
    nextOffset: offset > part.from.nextOffset ? offset : part.from.nextOffset,
  };
  return { ...part, fresh, unusable, to, problem };
}
