import { readCheckpoints } from '@lethe/platform/consumer/checkpoints.ts';
import type { EventLog, LogEntry, TopicPartition } from '@lethe/platform/event-log/port.ts';
import type { Peers } from '@lethe/platform/grpc/handler.ts';
import { Record as LogRecord } from '@lethe/proto/gen/lethe/log/v1/record.ts';
import type { TopicName } from '@lethe/proto/topics.ts';
import { partitionName } from '../projection/partition-name.ts';
import type { AnalyticsDatabase } from '../store.ts';
import { PartitionParts } from './partition-parts.ts';
import { partsOfChunk } from './rebuild-store.ts';
import type { ReadPart } from './refold.ts';

export interface ReadChunksPorts {
  readonly db: AnalyticsDatabase;
  readonly eventLog: EventLog;
  /** For the owners of the topics, asked about sequences that are not on the log. */
  readonly peers: Peers;
  readonly topics: readonly TopicName[];
  readonly signal: AbortSignal;
}

/** A chunk whose every part was read. */
export interface ReadChunk {
  readonly manifestId: string;
  readonly parts: readonly ReadPart[];
}

const recordsPerPoll = 1_000;
const pollWaitMs = 500;
/** A partition that is this far ahead of the others waits for them. */
const bufferedMax = 4_000;

/**
 * Reads the log once from its beginning and gives each chunk that was committed when the rebuild began, as soon as all
 * its parts were read. Chunks of a partition follow each other in the order of their commits, so a partition that is
 * ahead can wait: the oldest unfinished chunk is at the front of every partition that it lacks. Throws
 * SequenceGapError when the log lacks a record that no erasure removed.
 */
export async function* readChunks(
  ports: ReadChunksPorts,
  onRecords: (records: number) => void,
): AsyncGenerator<ReadChunk> {
  const { db, eventLog, topics, signal } = ports;
  const all = topics.flatMap((topic) =>
    Array.from({ length: eventLog.partitionsOf(topic) }, (_, partition) => ({ topic, partition })),
  );
  // Of all topics in one statement: a chunk that is committed in between counts with all its parts or with none, and
  // none is held, and its partition held up, for a part that never comes.
  const committed = await readCheckpoints(db, all);
  const partitions = new Map(
    all.map((at, place) => [
      partitionName(at.topic, at.partition),
      new PartitionParts(ports, at, committed[place]?.sequence ?? 0n),
    ]),
  );
  // Committed first, then the log's ends: what is committed lies below them.
  const ends = new Map<string, bigint>();
  for (const topic of topics) {
    for (const [partition, end] of (await eventLog.endOffsets(topic)).entries()) {
      ends.set(partitionName(topic, partition), end);
    }
  }
  const waiting = new Map<string, ReadPart[]>();
  for await (const { at, entries } of pollAll(ports, partitions, ends)) {
    signal.throwIfAborted();
    const parts = partitions.get(partitionName(at.topic, at.partition));
    if (parts === undefined) continue;
    onRecords(entries.filter(({ kind }) => kind === 'record').length);
    for (const done of await parts.take(entries.flatMap(sequencedOf), entries === atEnd)) {
      const chunk = await joined(db, waiting, done);
      if (chunk === undefined) continue;
      yield chunk;
      for (const part of chunk.parts) {
        const { topic, partition } = part.part;
        partitions.get(partitionName(topic, partition))?.release(part.records.length);
      }
    }
  }
}

/** Stands for the end of a partition. */
const atEnd: readonly LogEntry[] = [];

function sequencedOf(entry: LogEntry) {
  if (entry.kind === 'tombstone') return [];
  if (entry.kind === 'tick') return [{ sequence: entry.lastSequence, record: undefined }];
  return [{ sequence: entry.sequence, record: decode(entry.value) }];
}

/** What is no record was parked when its chunk was folded, and is left out here too. */
function decode(bytes: Uint8Array): LogRecord | undefined {
  try {
    return LogRecord.decode(bytes);
  } catch {
    return undefined;
  }
}

async function joined(
  db: AnalyticsDatabase,
  waiting: Map<string, ReadPart[]>,
  done: ReadPart,
): Promise<ReadChunk | undefined> {
  const { manifestId } = done.part;
  const known = waiting.get(manifestId) ?? [];
  known.push(done);
  waiting.set(manifestId, known);
  const wanted = await partsOfChunk(db, manifestId);
  if (known.length < wanted.length) return undefined;
  waiting.delete(manifestId);
  const places = new Map(wanted.map((part) => [partitionName(part.topic, part.partition), part]));
  const parts = known.map((read) => {
    const { topic, partition } = read.part;
    return { ...read, part: places.get(partitionName(topic, partition)) ?? read.part };
  });
  return { manifestId, parts };
}

interface Polled {
  readonly at: TopicPartition;
  readonly entries: readonly LogEntry[];
}

async function* pollAll(
  { eventLog, topics, signal }: ReadChunksPorts,
  partitions: ReadonlyMap<string, PartitionParts>,
  ends: ReadonlyMap<string, bigint>,
): AsyncGenerator<Polled> {
  const unread = new Map<string, TopicPartition>();
  const assigned = new Set<string>();
  for (const [name, parts] of partitions) {
    if ((ends.get(name) ?? 0n) > 0n) unread.set(name, parts.at);
  }
  if (unread.size === 0) return;
  const reader = await eventLog.openReader({
    group: 'analytics-rebuild',
    topics,
    startAt: async (given) => {
      for (const { topic, partition } of given) assigned.add(partitionName(topic, partition));
      return given.map(() => 0n);
    },
  });
  try {
    while (unread.size > 0) {
      signal.throwIfAborted();
      const batches = await reader.poll({ recordsMax: recordsPerPoll, waitMs: pollWaitMs, signal });
      for (const { topic, partition, entries } of batches) {
        const end = ends.get(partitionName(topic, partition)) ?? 0n;
        const at = { topic, partition };
        const wanted = entries.filter(({ offset }) => offset < end);
        if (wanted.length > 0) yield { at, entries: wanted };
      }
      for (const [name, at] of unread) {
        if (!assigned.has(name)) continue;
        if (reader.position(at) >= (ends.get(name) ?? 0n)) {
          reader.pause(at);
          unread.delete(name);
          yield { at, entries: atEnd };
        } else if (partitions.get(name)?.mayWait(bufferedMax) === true) reader.pause(at);
        else reader.resume(at);
      }
    }
  } finally {
    await reader.close();
  }
}
