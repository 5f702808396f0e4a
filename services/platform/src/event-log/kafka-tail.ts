import type { Kafka } from 'kafkajs';
import { ServiceError } from '../errors/service-error.ts';
import type { Clock, RandomBytes } from '../lifecycle/clock.ts';
import type { KafkaTimeouts } from './kafka-client.ts';
import { openKafkaReader } from './kafka-reader.ts';
import type { LogReader, TopicPartition } from './port.ts';

export interface KafkaTailParts {
  readonly kafka: Kafka;
  readonly timeouts: KafkaTimeouts;
  readonly clock: Clock;
  readonly randomBytes: RandomBytes;
  /** The first offset of a partition that is there, and one past the newest. */
  readonly bounds: (partition: TopicPartition) => Promise<OffsetBounds>;
}

export interface OffsetBounds {
  readonly low: bigint;
  readonly end: bigint;
}

/** Reads where the sequences of a topic's partitions stand. */
export interface KafkaTail {
  /**
   * The highest sequence among committed entries; 0n when there is none. To be asked after older writers were fenced:
   * then nothing is open and nothing more can come.
   */
  lastSequence(partition: TopicPartition): Promise<bigint>;
  close(): Promise<void>;
}

/** What the groups of those who write a topic begin with. */
export function tailGroupPrefixOf(topic: string): string {
  return `lethe-tail-${topic}-`;
}

/** How far back from the end a scan begins, in offsets, and by how much each further scan reaches back more. */
const firstSpan = 64n;
const spanFactor = 16n;

/**
 * The client can read only as the member of a group, and joining one takes up to three seconds with the broker's
 * defaults. So one reader per topic, in a group of its own, joins when the first writer is opened and stays until it fails.
 */
export function createKafkaTail(topic: string, parts: KafkaTailParts): KafkaTail {
  let reader: LogReader | undefined;
  let last: Promise<unknown> = Promise.resolve();

  const forget = async (): Promise<void> => {
    const old = reader;
    reader = undefined;
    await old?.close();
  };
  const scan = async (partition: TopicPartition): Promise<bigint> => {
    const { kafka, clock, timeouts, randomBytes, bounds } = parts;
    // Another group each time: in that of a reader whose broker went away the new one would wait until the session of
    // the former, which could not leave, is over.
    const group = `${tailGroupPrefixOf(topic)}${randomBytes(8).toString('hex')}`;
    reader ??= await openKafkaReader(
      { group, topics: [topic], startAt: async (assigned) => assigned.map(() => 0n) },
      { kafka, clock, timeouts, onDemand: true, closed: () => {} },
    );
    const { low, end } = await bounds(partition);
    const deadlineMs = clock.monotonicMs() + timeouts.openMs;
    for (let span = firstSpan; ; span *= spanFactor) {
      const from = end - span > low ? end - span : low;
      const found = await lastSequenceFrom(
        reader,
        partition,
        { low: from, end },
        clock,
        deadlineMs,
      );
      if (found !== undefined || from === low) return found ?? 0n;
    }
  };
  return {
    lastSequence: async (partition) => {
      // One at a time: the reader is polled for one partition.
      const before = last;
      const mine = (async () => {
        await before.catch(() => undefined);
        const isUsed = reader !== undefined;
        try {
          return await scan(partition);
        } catch (error) {
          await forget();
          // A reader that waited here may have lost its broker long ago.
          if (!isUsed) throw error;
          return scan(partition);
        }
      })();
      last = mine;
      return mine;
    },
    close: async () => {
      await last.catch(() => undefined);
      await forget();
    },
  };
}

async function lastSequenceFrom(
  reader: LogReader,
  partition: TopicPartition,
  { low, end }: OffsetBounds,
  clock: Clock,
  deadlineMs: number,
): Promise<bigint | undefined> {
  let found: bigint | undefined;
  reader.seek(partition, low);
  reader.resume(partition);
  try {
    while (reader.position(partition) < end) {
      if (clock.monotonicMs() > deadlineMs) {
        const name = `${partition.topic}/${partition.partition}`;
        throw new ServiceError('STORE_UNAVAILABLE', `${name}: its end could not be read in time`);
      }
      for (const { entries } of await reader.poll({ recordsMax: 10_000, waitMs: 100 })) {
        for (const entry of entries) {
          if (entry.kind === 'record') found = entry.sequence;
          // A tick outlives the records below it.
          if (entry.kind === 'tick') found = entry.lastSequence;
        }
      }
    }
  } finally {
    reader.pause(partition);
  }
  return found;
}
