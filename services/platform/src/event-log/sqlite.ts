import { ServiceError } from '../errors/service-error.ts';
import type { Clock } from '../lifecycle/clock.ts';
import { createWakeable, type Wakeable } from '../lifecycle/wakeable.ts';
import type { Logger } from '../log/logger.ts';
import type { EventLog, LogReader, LogWrite, TopicPartition } from './port.ts';
import { createForgetting } from './sqlite-forgetting.ts';
import { openSqliteReader } from './sqlite-reader.ts';
import { SqliteStore } from './sqlite-store.ts';
import { openSqliteWriter } from './sqlite-writer.ts';

export interface SqliteEventLogOptions {
  /** The log file; SQLite keeps `-wal` and `-shm` beside it. Its folder exists. */
  readonly path: string;
  /** Topic name to number of partitions; a number may be raised from one start to the next. */
  readonly partitions: ReadonlyMap<string, number>;
  readonly clock: Clock;
  readonly logger: Logger;
  /** How often a reader looks for appends of other processes. Default 500 ms; its own process wakes it at once. */
  readonly pollIntervalMs?: number;
  /** How long the log must be quiet before erased bytes are driven out of the write-ahead log. Default 200 ms. */
  readonly idleMs?: number;
}

const busyTimeoutMs = 5_000;

interface OpenReader {
  readonly topics: readonly string[];
  readonly changed: Wakeable;
  readonly reader: LogReader;
}

/**
 * The event log in one SQLite file, durable at each append, readable by several processes. A tombstone overwrites the
 * earlier records of its event id with zeros, and on an idle moment (or at the next start) the write-ahead log is
 * emptied: then neither file has their bytes. Throws STORE_UNAVAILABLE with the path when the file is damaged,
 * DATA_FOLDER_NEWER when it has more partitions than `partitions` says.
 */
export function openSqliteEventLog(options: SqliteEventLogOptions): EventLog {
  const { clock, partitions } = options;
  const store = new SqliteStore(options.path, busyTimeoutMs);
  const allOf = (topic: string): readonly TopicPartition[] =>
    Array.from({ length: countOf(partitions, topic) }, (_, partition) => ({ topic, partition }));
  refuseMorePartitions(store, partitions);
  store.transaction(() => {
    for (const partition of [...partitions.keys()].flatMap(allOf)) store.addPartition(partition);
  });
  const readers = new Set<OpenReader>();
  const forgetting = createForgetting(store, clock, options.logger, options.idleMs ?? 200);
  forgetting.loop.start();

  const assertOpen = (): void => {
    if (!store.isOpen) throw new ServiceError('SHUTTING_DOWN', `event log ${store.path} is closed`);
  };
  const appended = (partition: TopicPartition, writes: readonly LogWrite[]): void => {
    for (const { topics, changed } of readers) if (topics.includes(partition.topic)) changed.wake();
    forgetting.appended(writes.some((write) => write.kind === 'tombstone'));
  };
  return {
    system: 'sqlite',
    openWriter: async (partition) => {
      assertOpen();
      return openSqliteWriter(store, partition, appended);
    },
    openReader: async (readerOptions) => {
      assertOpen();
      const changed = createWakeable(clock);
      const reader = await openSqliteReader(readerOptions, {
        store,
        clock,
        assigned: readerOptions.topics.flatMap(allOf),
        changed,
        pollIntervalMs: options.pollIntervalMs ?? 500,
        closed: () => readers.delete(open),
      });
      const open: OpenReader = { topics: readerOptions.topics, changed, reader };
      readers.add(open);
      return reader;
    },
    partitionsOf: (topic) => countOf(partitions, topic),
    endOffsets: async (topic) => {
      assertOpen();
      return allOf(topic).map((partition) => store.partition(partition).nextOffset);
    },
    close: async () => {
      await forgetting.loop.stop();
      await Promise.all(Array.from(readers, ({ reader }) => reader.close()));
      if (!store.isOpen) return;
      try {
        store.forget();
      } finally {
        store.close();
      }
    },
  };
}

/** Streams in a partition that this version does not know would have neither relay nor reader. */
function refuseMorePartitions(store: SqliteStore, partitions: ReadonlyMap<string, number>): void {
  for (const [topic, known] of partitions) {
    const found = store.partitionsOf(topic);
    if (found <= known) continue;
    store.close();
    throw new ServiceError(
      'DATA_FOLDER_NEWER',
      `event log ${store.path} has ${found} partitions of ${topic}, and this version knows ${known}`,
    );
  }
}

function countOf(partitions: ReadonlyMap<string, number>, topic: string): number {
  const count = partitions.get(topic);
  if (count === undefined) throw new RangeError(`the log has no topic ${topic}`);
  return count;
}
