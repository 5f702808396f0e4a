import type { Clock } from '../lifecycle/clock.ts';
import { joinSignals } from '../lifecycle/joined-signal.ts';
import type { Wakeable } from '../lifecycle/wakeable.ts';
import type {
  LogBatch,
  LogEntry,
  LogReader,
  PollOptions,
  ReaderOptions,
  TopicPartition,
} from './port.ts';
import { pollBytesMax } from './port.ts';
import type { SqliteStore } from './sqlite-store.ts';

export interface SqliteReaderParts {
  readonly store: SqliteStore;
  readonly clock: Clock;
  readonly assigned: readonly TopicPartition[];
  /** Woken after appends to the reader's topics. */
  readonly changed: Wakeable;
  /** How often to look without being woken: for appends of other processes. */
  readonly pollIntervalMs: number;
  readonly closed: () => void;
}

interface Position extends TopicPartition {
  offset: bigint;
  paused: boolean;
}

/** A reader that has all partitions of its topics: this log has one member per group. */
export async function openSqliteReader(
  options: ReaderOptions,
  parts: SqliteReaderParts,
): Promise<LogReader> {
  const offsets = await options.startAt(parts.assigned);
  const positions = parts.assigned.map(({ topic, partition }, index): Position => {
    const offset = offsets[index];
    if (offset === undefined) throw new RangeError(`no offset to start ${topic}/${partition} from`);
    return { topic, partition, offset, paused: false };
  });
  return new SqliteReader(parts, positions);
}

class SqliteReader implements LogReader {
  readonly #parts: SqliteReaderParts;
  readonly #positions: readonly Position[];
  readonly #closing = new AbortController();
  #turn = 0;

  constructor(parts: SqliteReaderParts, positions: readonly Position[]) {
    this.#parts = parts;
    this.#positions = positions;
  }

  async poll({ recordsMax, waitMs, signal }: PollOptions): Promise<readonly LogBatch[]> {
    const { clock, changed, pollIntervalMs } = this.#parts;
    const until = clock.monotonicMs() + waitMs;
    const ended = joinSignals(signal, this.#closing.signal);
    try {
      while (!ended.signal.aborted) {
        const batches = this.#collect(recordsMax);
        const restMs = until - clock.monotonicMs();
        if (batches.length > 0 || restMs <= 0) return batches;
        await changed.wait(Math.min(restMs, pollIntervalMs), ended.signal);
      }
      return [];
    } finally {
      ended.release();
    }
  }

  seek(partition: TopicPartition, offset: bigint): void {
    this.#positionOf(partition).offset = offset;
    this.#parts.changed.wake();
  }

  pause(partition: TopicPartition): void {
    this.#positionOf(partition).paused = true;
  }

  resume(partition: TopicPartition): void {
    this.#positionOf(partition).paused = false;
    this.#parts.changed.wake();
  }

  position(partition: TopicPartition): bigint {
    return this.#positionOf(partition).offset;
  }

  async close(): Promise<void> {
    this.#closing.abort();
    this.#parts.closed();
  }

  #positionOf({ topic, partition }: TopicPartition): Position {
    const found = this.#positions.find(
      (each) => each.topic === topic && each.partition === partition,
    );
    if (found === undefined) throw new RangeError(`${topic}/${partition} is not assigned`);
    return found;
  }

  #collect(recordsMax: number): LogBatch[] {
    const positions = this.#positions;
    const batches: LogBatch[] = [];
    let entriesLeft = recordsMax;
    let bytesLeft = pollBytesMax;
    // Each poll begins one partition further on, so that a busy one does not starve the rest.
    this.#turn = (this.#turn + 1) % Math.max(1, positions.length);
    for (const position of [...positions.slice(this.#turn), ...positions.slice(0, this.#turn)]) {
      if (entriesLeft <= 0 || bytesLeft <= 0) break;
      const entries = this.#read(position, entriesLeft, bytesLeft);
      if (entries.length === 0) continue;
      batches.push({ topic: position.topic, partition: position.partition, entries });
      entriesLeft -= entries.length;
      bytesLeft -= entries.reduce((sum, entry) => sum + bytesOf(entry), 0);
    }
    return batches;
  }

  #read(position: Position, entriesMax: number, bytesMax: number): LogEntry[] {
    const { store } = this.#parts;
    const { partitionId, nextOffset } = store.partition(position);
    if (position.paused || position.offset >= nextOffset) return [];
    const entries = store.read(partitionId, position.offset, entriesMax, bytesMax);
    const newest = entries.at(-1);
    // Nothing left below the end: what lay there was erased.
    position.offset = newest === undefined ? nextOffset : newest.offset + 1n;
    return entries;
  }
}

function bytesOf(entry: LogEntry): number {
  return entry.kind === 'record' ? entry.value.length : 0;
}
