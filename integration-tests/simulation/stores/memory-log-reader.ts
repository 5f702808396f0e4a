import type {
  LogBatch,
  LogEntry,
  LogReader,
  PollOptions,
  ReaderOptions,
  TopicPartition,
} from '@lethe/platform/event-log/port.ts';
import type { Clock } from '@lethe/platform/lifecycle/clock.ts';
import { joinSignals } from '@lethe/platform/lifecycle/joined-signal.ts';
import { createWakeable, type Wakeable } from '@lethe/platform/lifecycle/wakeable.ts';
import type { StoredPartition } from './stored-partition.ts';

/**
 * What befalls a delivery: as it should be, some again, only the first, one in the middle left out, a rebalance, or
 * nothing comes for a while.
 */
export type Delivery = 'regular' | 'again' | 'fewer' | 'left-out' | 'reassigned' | 'late';

export interface DeliveryFaults {
  delivery(): Delivery;
}

interface ReaderAccess extends DeliveryFaults {
  pass<Result>(label: string, run: () => Result): Promise<Result>;
  readonly clock: Clock;
}

export interface ReaderParts {
  readonly access: ReaderAccess;
  readonly partition: (at: TopicPartition) => StoredPartition;
  readonly watchers: Set<(topic: string) => void>;
}

interface Position extends TopicPartition {
  offset: bigint;
  isPaused: boolean;
}

/** Without a word from a writer a reader looks this often. */
const pollIntervalMs = 2_000;

export async function openMemoryReader(
  options: ReaderOptions,
  assigned: readonly TopicPartition[],
  parts: ReaderParts,
): Promise<LogReader> {
  const offsets = await options.startAt(assigned);
  const positions = assigned.map((at, index): Position => {
    const offset = offsets[index];
    if (offset === undefined) throw new RangeError('fewer offsets than partitions');
    return { ...at, offset, isPaused: false };
  });
  return new MemoryReader(options, parts, positions);
}

class MemoryReader implements LogReader {
  readonly #options: ReaderOptions;
  readonly #parts: ReaderParts;
  readonly #positions: readonly Position[];
  readonly #changed: Wakeable;
  readonly #closing = new AbortController();
  readonly #watcher: (topic: string) => void;
  readonly #leftOut = new Set<string>();
  #turn = 0;

  constructor(options: ReaderOptions, parts: ReaderParts, positions: readonly Position[]) {
    this.#options = options;
    this.#parts = parts;
    this.#positions = positions;
    this.#changed = createWakeable(parts.access.clock);
    this.#watcher = (topic) => {
      if (options.topics.includes(topic)) this.#changed.wake();
    };
    parts.watchers.add(this.#watcher);
  }

  async poll({ recordsMax, waitMs, signal }: PollOptions): Promise<readonly LogBatch[]> {
    const { access } = this.#parts;
    const untilMs = access.clock.monotonicMs() + waitMs;
    const closing = this.#closing.signal;
    const ended = joinSignals(signal, closing);
    try {
      while (!ended.signal.aborted) {
        const delivery = access.delivery();
        if (delivery === 'reassigned') await this.#reassign();
        const batches = await access.pass(`poll ${this.#options.group}`, () =>
          this.#collect(delivery === 'fewer' ? 1 : recordsMax, delivery),
        );
        const restMs = untilMs - access.clock.monotonicMs();
        if (batches.length > 0 || restMs <= 0) return batches;
        await this.#changed.wait(Math.min(restMs, pollIntervalMs), ended.signal);
      }
      return [];
    } finally {
      ended.release();
    }
  }

  seek(partition: TopicPartition, offset: bigint): void {
    this.#positionOf(partition).offset = offset;
    this.#changed.wake();
  }

  pause(partition: TopicPartition): void {
    this.#positionOf(partition).isPaused = true;
  }

  resume(partition: TopicPartition): void {
    this.#positionOf(partition).isPaused = false;
    this.#changed.wake();
  }

  position(partition: TopicPartition): bigint {
    return this.#positionOf(partition).offset;
  }

  async close(): Promise<void> {
    this.#closing.abort();
    this.#parts.watchers.delete(this.#watcher);
  }

  /** Taken away and given back, as by a rebalance in the middle of everything. */
  async #reassign(): Promise<void> {
    const offsets = await this.#options.startAt(this.#positions);
    for (const [index, position] of this.#positions.entries()) {
      position.offset = offsets[index] ?? position.offset;
    }
  }

  #positionOf({ topic, partition }: TopicPartition): Position {
    const found = this.#positions.find(
      (each) => each.topic === topic && each.partition === partition,
    );
    if (found === undefined) throw new RangeError(`${topic}/${partition} is not assigned`);
    return found;
  }

  #collect(recordsMax: number, delivery: Delivery): LogBatch[] {
    if (delivery === 'late') return [];
    const batches: LogBatch[] = [];
    let left = recordsMax;
    this.#turn += 1;
    const first = this.#turn % Math.max(1, this.#positions.length);
    for (const position of [...this.#positions.slice(first), ...this.#positions.slice(0, first)]) {
      if (left <= 0) break;
      const entries = this.#read(position, left, delivery);
      if (entries.length === 0) continue;
      left -= entries.length;
      batches.push({ topic: position.topic, partition: position.partition, entries });
    }
    return batches;
  }

  #read(position: Position, entriesMax: number, delivery: Delivery): LogEntry[] {
    const { entries, nextOffset } = this.#parts.partition(position);
    if (position.isPaused || position.offset >= nextOffset) return [];
    const from = delivery === 'again' ? position.offset - 3n : position.offset;
    const found = entries.filter(({ offset }) => offset >= from).slice(0, entriesMax + 3);
    const read = delivery === 'again' ? found : found.slice(0, entriesMax);
    const newest = read.at(-1);
    position.offset = newest === undefined ? nextOffset : newest.offset + 1n;
    return delivery === 'left-out' ? this.#leaveOut(position, read) : read;
  }

  /**
   * The one before the last, if that tells of it: a tombstone record does not, and once a checkpoint is behind both nobody
   * reads there again. Never the same one twice. What a log withholds so is lost, and a partition that stops there is
   * right.
   */
  #leaveOut({ topic, partition }: TopicPartition, read: LogEntry[]): LogEntry[] {
    const isTold = read.length > 2 && read.at(-1)?.kind !== 'tombstone';
    const left = isTold ? read.at(-2) : undefined;
    const name = `${topic}/${partition}/${left?.offset}`;
    if (left === undefined || this.#leftOut.has(name)) return read;
    this.#leftOut.add(name);
    return read.filter((each) => each !== left);
  }
}
