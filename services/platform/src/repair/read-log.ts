import { Record as LogRecord } from '@lethe/proto/gen/lethe/log/v1/record.ts';
import type { LoggedRecord } from '../event-store/apply-parts.ts';
import type { EventLog, LogBatch, LogEntry } from '../event-log/port.ts';
import { eventIdFromBytes } from '../ids/ids.ts';
import type { SequenceRun } from '../outbox/erased-ranges.ts';
import { readTopic } from '../rebuild/read-topic.ts';

/** A partition of a log on a server, as a reader from its start finds it. */
export interface PartitionOnLog {
  readonly partition: number;
  /** Of records, of those that are gone as far as ticks tell of them, and of those that a tombstone removes. */
  readonly lastSequence: bigint;
  /** Sequences of records that nothing removes; ascending and disjoint. */
  readonly present: readonly SequenceRun[];
}

/** A topic that nobody appends to meanwhile. */
export interface TopicOnLog {
  readonly partitions: readonly PartitionOnLog[];
  /** What is left above a sequence of each of these partitions: pages of one partition, in its order. */
  readonly pagesAbove: (
    sequences: ReadonlyMap<number, bigint>,
  ) => AsyncGenerator<readonly LoggedRecord[]>;
}

/** At least so many records make a page, but for the last one of a partition. */
const pageRecords = 200;

type Readable = Pick<EventLog, 'openReader' | 'endOffsets' | 'partitionsOf'>;

/** Reads all of it twice: first for the keys that tombstones remove. Memory goes by these and by gaps, not by records. */
export async function readLog(
  eventLog: Readable,
  wish: { readonly group: string; readonly topic: string; readonly signal: AbortSignal },
): Promise<TopicOnLog> {
  const { topic } = wish;
  const ends = await eventLog.endOffsets(topic);
  const all = () => readTopic(eventLog, { ...wish, ends });
  const removed = new Set<string>();
  for await (const { entries } of all()) {
    for (const entry of entries) if (entry.kind === 'tombstone') removed.add(keyOf(entry));
  }
  const isRemoved = (entry: LogEntry) => entry.kind === 'record' && removed.has(keyOf(entry));
  const partitions = Array.from({ length: eventLog.partitionsOf(topic) }, (_, partition) => ({
    partition,
    lastSequence: 0n,
    present: new Array<{ first: bigint; last: bigint }>(),
  }));
  for await (const { partition, entries } of all()) {
    const seen = partitions[partition];
    if (seen === undefined) continue;
    for (const entry of entries) takeEntry(seen, entry, isRemoved(entry));
  }
  return {
    partitions,
    pagesAbove: async function* (sequences) {
      const reached = new Map(sequences);
      const pages = new Map<number, LoggedRecord[]>();
      for await (const batch of all()) {
        const { partition } = batch;
        const last = reached.get(partition);
        if (last === undefined) continue;
        // A rebalance hands out again what it handed out before.
        const fresh = recordsOf(batch, isRemoved).filter(({ sequence }) => sequence > last);
        reached.set(partition, fresh.at(-1)?.sequence ?? last);
        const page = [...(pages.get(partition) ?? []), ...fresh];
        const isFull = page.length >= pageRecords;
        pages.set(partition, isFull ? [] : page);
        if (isFull) yield page;
      }
      for (const page of pages.values()) if (page.length > 0) yield page;
    },
  };
}

function keyOf({ eventId }: Extract<LogEntry, { readonly eventId: Uint8Array }>): string {
  return Buffer.from(eventId).toString('hex');
}

function takeEntry(
  seen: { lastSequence: bigint; present: { first: bigint; last: bigint }[] },
  entry: LogEntry,
  isRemoved: boolean,
): void {
  if (entry.kind === 'tombstone') return;
  const sequence = entry.kind === 'tick' ? entry.lastSequence : entry.sequence;
  const isNew = sequence > seen.lastSequence;
  if (isNew) seen.lastSequence = sequence;
  if (entry.kind === 'tick' || isRemoved) return;
  const run = seen.present.at(-1);
  if (run !== undefined && sequence <= run.last) return;
  if (run?.last === sequence - 1n) run.last = sequence;
  else seen.present.push({ first: sequence, last: sequence });
}

function recordsOf(
  { partition, entries }: LogBatch,
  isRemoved: (entry: LogEntry) => boolean,
): readonly LoggedRecord[] {
  return entries.flatMap((entry) => {
    if (entry.kind !== 'record' || isRemoved(entry)) return [];
    const { sequence, eventId, value } = entry;
    const recordId = eventIdFromBytes(eventId);
    return [{ partition, sequence, recordId, record: LogRecord.decode(value), value }];
  });
}
