import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { ServiceError } from '../errors/service-error.ts';
import type { EventLog, LogEntry, LogReader, LogWrite, TopicPartition } from './port.ts';

/** A fresh log for one test. */
export interface EventLogSubject {
  readonly log: EventLog;
  /** Two empty topics of at least three partitions each, never used before. */
  readonly topics: readonly [string, string];
  /** Whether only a tombstone takes records away. Kafka also drops the older of two records of one event id. */
  readonly keepsOlderOfOneId: boolean;
  /** The same log as another process sees it. */
  openAgain(): Promise<EventLog>;
  /** Resolves when records with a later tombstone are gone. */
  compacted(): Promise<void>;
  destroy(): Promise<void>;
}

type RecordWrite = Extract<LogWrite, { kind: 'record' }>;

/** 16 bytes that stand for a name. */
export function eventIdNamed(name: string): Buffer {
  return createHash('sha256').update(name).digest().subarray(0, 16);
}

/** A record whose value is its name. */
export function recordNamed(name: string): RecordWrite {
  return {
    kind: 'record',
    eventId: eventIdNamed(name),
    value: Buffer.from(name),
    recordedAtMs: 1_700_000_000_000 + name.length,
  };
}

export const isConflict = (error: unknown): boolean =>
  error instanceof ServiceError && error.reason === 'SEQUENCE_CONFLICT';

/** Reads until everything that is on the log has been handed out; entries as text, by topic/partition. */
export async function readToEnd(
  log: EventLog,
  reader: LogReader,
  topics: readonly string[],
  recordsMax = 100,
): Promise<Map<string, LogEntry[]>> {
  const found = new Map<string, LogEntry[]>();
  const ends = await Promise.all(topics.map((topic) => log.endOffsets(topic)));
  const behind = (): boolean =>
    topics.some((topic, at) =>
      (ends[at] ?? []).some((end, partition) => reader.position({ topic, partition }) < end),
    );
  while (behind()) {
    for (const batch of await reader.poll({ recordsMax, waitMs: 1_000 })) {
      const name = `${batch.topic}/${batch.partition}`;
      assert.ok(batch.entries.length > 0, 'a batch is never empty');
      found.set(name, [...(found.get(name) ?? []), ...batch.entries]);
    }
  }
  return found;
}

/** One line per entry, for comparing. */
export function described(entries: readonly LogEntry[] | undefined): string[] {
  return (entries ?? []).map((entry) => {
    if (entry.kind === 'tick') return `tick ${entry.lastSequence}`;
    if (entry.kind === 'tombstone')
      return `tombstone ${Buffer.from(entry.eventId).toString('hex')}`;
    return `${entry.sequence} ${Buffer.from(entry.value).toString()}`;
  });
}

/** Offsets of one partition. */
export function assertAscending(entries: readonly LogEntry[]): void {
  for (const [at, entry] of entries.entries()) {
    const previous = entries[at - 1];
    if (previous !== undefined) assert.ok(entry.offset > previous.offset, 'offsets ascend');
  }
}

/** What the parts of the contract work on; the subject is made anew for each test. */
export interface ContractContext {
  readonly subject: () => EventLogSubject;
  readonly log: () => EventLog;
  readonly first: () => TopicPartition;
  readonly readerFromStart: (topics?: readonly string[], group?: string) => Promise<LogReader>;
}
