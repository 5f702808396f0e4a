import type { Consumer, EachBatchPayload, IMemberAssignment, Kafka } from 'kafkajs';
import { ServiceError } from '../errors/service-error.ts';
import type { Clock } from '../lifecycle/clock.ts';
import { joinSignals } from '../lifecycle/joined-signal.ts';
import { createWakeable, sleepQuietly, type Wakeable } from '../lifecycle/wakeable.ts';
import { nameOf, PartitionBuffer } from './kafka-buffer.ts';
import type { KafkaTimeouts } from './kafka-client.ts';
import { decodeMessage } from './kafka-entry.ts';
import { kafkaError } from './kafka-error.ts';
import { createMember } from './kafka-member.ts';
import type { LogBatch, LogReader, PollOptions, ReaderOptions, TopicPartition } from './port.ts';
import { pollBytesMax } from './port.ts';

export interface KafkaReaderParts {
  readonly kafka: Kafka;
  readonly timeouts: KafkaTimeouts;
  readonly clock: Clock;
  /** Partitions begin paused, and of a paused one nothing is fetched: for reading a little now and then. */
  readonly onDemand?: boolean;
  readonly closed: (reader: LogReader) => void;
}

/** A partition with more than this waiting is not fetched until it has less than the second. */
const heldAboveBytes = 2 * 1024 * 1024;
const releasedBelowBytes = 1024 * 1024;
/** Leaving a group whose coordinator is away is not waited for any longer. */
const closeWaitMs = 5_000;

/**
 * A member of a consumer group. The client's fetch loop fills a bounded buffer per partition and never waits for the
 * application, so heartbeats go on however long a batch takes; the member's liveness is that of its process.
 * Throws STORE_UNAVAILABLE when the group cannot be joined within `openMs`, and whatever `startAt` throws.
 */
export async function openKafkaReader(
  options: ReaderOptions,
  parts: KafkaReaderParts,
): Promise<LogReader> {
  const reader = new KafkaReader(options, parts);
  try {
    await reader.open();
  } catch (error) {
    await reader.close();
    throw error;
  }
  return reader;
}

class KafkaReader implements LogReader {
  readonly #options: ReaderOptions;
  readonly #parts: KafkaReaderParts;
  readonly #consumer: Consumer;
  readonly #buffers = new Map<string, PartitionBuffer>();
  readonly #changed: Wakeable;
  readonly #closing = new AbortController();
  readonly #opened = new AbortController();
  #failure: ServiceError | undefined;
  #generation = 0;
  #turn = 0;

  constructor(options: ReaderOptions, parts: KafkaReaderParts) {
    this.#options = options;
    this.#parts = parts;
    this.#changed = createWakeable(parts.clock);
    // Later a failed reader is not used again: whoever reads opens a new one at its checkpoint.
    const mayRestart = () => !this.#opened.signal.aborted && !this.#closing.signal.aborted;
    this.#consumer = createMember(parts.kafka, options.group, parts.timeouts, mayRestart);
  }

  async open(): Promise<void> {
    const consumer = this.#consumer;
    const { group, topics } = this.#options;
    const { GROUP_JOIN, CRASH, END_BATCH_PROCESS } = consumer.events;
    consumer.on(GROUP_JOIN, ({ payload }) => this.#joined(payload.memberAssignment));
    consumer.on(END_BATCH_PROCESS, ({ payload }) => {
      if (payload.batchSize === 0) this.#skipped(payload, BigInt(payload.lastOffset) + 1n);
    });
    consumer.on(CRASH, ({ payload }) => {
      if (!payload.restart) this.#fail(payload.error);
    });
    try {
      await consumer.connect();
      await consumer.subscribe({ topics: [...topics], fromBeginning: true });
      await consumer.run({ autoCommit: false, eachBatch: async (batch) => this.#receive(batch) });
    } catch (error) {
      throw kafkaError(error, `joining group ${group}`);
    }
    const { signal: ended, release } = joinSignals(this.#opened.signal, this.#closing.signal);
    await sleepQuietly(this.#parts.clock, this.#parts.timeouts.openMs, ended).finally(release);
    if (this.#failure !== undefined) throw this.#failure;
    if (!ended.aborted) {
      throw new ServiceError(
        'STORE_UNAVAILABLE',
        `group ${group}: no partitions were assigned in time`,
      );
    }
  }

  async poll({ recordsMax, waitMs, signal }: PollOptions): Promise<readonly LogBatch[]> {
    const { clock } = this.#parts;
    const until = clock.monotonicMs() + waitMs;
    const ended = joinSignals(signal, this.#closing.signal);
    try {
      while (!ended.signal.aborted) {
        if (this.#failure !== undefined) throw this.#failure;
        const batches = this.#collect(recordsMax);
        const restMs = until - clock.monotonicMs();
        if (batches.length > 0 || restMs <= 0) return batches;
        await this.#changed.wait(restMs, ended.signal);
      }
      return [];
    } finally {
      ended.release();
    }
  }

  seek(partition: TopicPartition, offset: bigint): void {
    const buffer = this.#bufferOf(partition);
    // A worker may go back in a partition that was revoked meanwhile: its next owner starts at the checkpoint.
    if (!buffer.isStarted) return;
    this.#startFrom(buffer, offset);
  }

  pause(partition: TopicPartition): void {
    const buffer = this.#bufferOf(partition);
    buffer.isPaused = true;
    if (this.#parts.onDemand === true) this.#hold(buffer);
  }

  resume(partition: TopicPartition): void {
    const buffer = this.#bufferOf(partition);
    buffer.isPaused = false;
    if (this.#parts.onDemand === true) this.#release(buffer);
    this.#changed.wake();
  }

  position(partition: TopicPartition): bigint {
    return this.#bufferOf(partition).position;
  }

  holds(partition: TopicPartition): boolean {
    return this.#buffers.get(nameOf(partition))?.isStarted === true;
  }

  async close(): Promise<void> {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort();
    this.#parts.closed(this);
    const left = new AbortController();
    const leave = async (): Promise<void> => {
      try {
        await this.#consumer.disconnect();
      } catch {
        // The coordinator is away: it takes the partitions back when the session times out.
      } finally {
        left.abort();
      }
    };
    void leave();
    await sleepQuietly(this.#parts.clock, closeWaitMs, left.signal);
  }

  #bufferOf(partition: TopicPartition): PartitionBuffer {
    const found = this.#buffers.get(nameOf(partition));
    if (found === undefined) throw new RangeError(`${nameOf(partition)} was never assigned`);
    return found;
  }

  /** After every rebalance, before the client fetches: what it holds now, whose offsets the client has forgotten. */
  #joined(assignment: IMemberAssignment): void {
    this.#generation += 1;
    const mine = Object.entries(assignment).flatMap(([topic, partitions]) =>
      partitions.map((partition): TopicPartition => ({ topic, partition })),
    );
    const names = new Set(mine.map(nameOf));
    for (const [name, buffer] of this.#buffers) if (!names.has(name)) buffer.revoke();
    const fresh: PartitionBuffer[] = [];
    for (const partition of mine) {
      const buffer = this.#buffers.get(nameOf(partition)) ?? new PartitionBuffer(partition);
      this.#buffers.set(nameOf(partition), buffer);
      // Kept: goes on behind what is buffered. Another member that had it meanwhile moved the checkpoint, and the
      // consumer's compare-and-set notices.
      if (buffer.isStarted) this.#goTo(buffer);
      else fresh.push(buffer);
    }
    for (const buffer of fresh) {
      buffer.assign();
      this.#hold(buffer);
    }
    void this.#begin(fresh, this.#generation);
  }

  async #begin(fresh: readonly PartitionBuffer[], generation: number): Promise<void> {
    try {
      const partitions = fresh.map(({ partition }) => partition);
      const offsets = partitions.length === 0 ? [] : await this.#options.startAt(partitions);
      // A newer assignment asks for itself.
      if (generation !== this.#generation) return;
      for (const [index, buffer] of fresh.entries()) {
        const offset = offsets[index];
        if (offset === undefined)
          throw new RangeError(`no offset to start ${nameOf(buffer.partition)} from`);
        if (this.#parts.onDemand === true) buffer.isPaused = true;
        this.#startFrom(buffer, offset);
      }
      this.#opened.abort();
    } catch (error) {
      this.#fail(error);
    }
  }

  #startFrom(buffer: PartitionBuffer, offset: bigint): void {
    buffer.startFrom(offset);
    this.#goTo(buffer);
    if (!(this.#parts.onDemand === true && buffer.isPaused)) this.#release(buffer);
    this.#changed.wake();
  }

  #goTo(buffer: PartitionBuffer): void {
    buffer.isSeeking = true;
    const { partition, fetched } = buffer;
    this.#tell((consumer) => consumer.seek({ ...partition, offset: String(fetched) }));
  }

  #hold(buffer: PartitionBuffer): void {
    buffer.isHeld = true;
    const { topic, partition } = buffer.partition;
    this.#tell((consumer) => consumer.pause([{ topic, partitions: [partition] }]));
  }

  #release(buffer: PartitionBuffer): void {
    if (!buffer.isHeld) return;
    buffer.isHeld = false;
    const { topic, partition } = buffer.partition;
    this.#tell((consumer) => consumer.resume([{ topic, partitions: [partition] }]));
  }

  #tell(command: (consumer: Consumer) => void): void {
    if (this.#failure !== undefined || this.#closing.signal.aborted) return;
    try {
      command(this.#consumer);
    } catch (error) {
      // Between a crash and its event the client has no group.
      this.#fail(error);
    }
  }

  #receive(payload: EachBatchPayload): void {
    const { batch } = payload;
    const buffer = this.#buffers.get(nameOf(batch));
    if (buffer === undefined || !buffer.isStarted || payload.isStale()) return;
    try {
      const entries = batch.messages.map((message) => decodeMessage(batch, message));
      buffer.add(entries, BigInt(batch.lastOffset()) + 1n);
    } catch (error) {
      this.#fail(error);
    }
    if (buffer.sizeBytes > heldAboveBytes) this.#hold(buffer);
    this.#changed.wake();
  }

  /** A fetch brought nothing but markers of transactions, aborted records or what compaction left. */
  #skipped(from: TopicPartition, fetched: bigint): void {
    const buffer = this.#buffers.get(nameOf(from));
    if (buffer === undefined || !buffer.isStarted) return;
    // It may have been fetched before the seek and have waited behind what other brokers sent: seek once more. The
    // client takes one batch of a partition at a time, so what comes next is of the place that was sought.
    if (buffer.isSeeking) {
      this.#goTo(buffer);
      buffer.isSeeking = false;
    } else buffer.add([], fetched);
    this.#changed.wake();
  }

  #fail(error: unknown): void {
    this.#failure ??= kafkaError(error, `reading ${this.#options.topics.join(', ')}`);
    this.#opened.abort();
    this.#changed.wake();
  }

  #collect(recordsMax: number): LogBatch[] {
    const buffers = [...this.#buffers.values()];
    const batches: LogBatch[] = [];
    let entriesLeft = recordsMax;
    let bytesLeft = pollBytesMax;
    // Each poll begins one partition further on, so that a busy one does not starve the rest.
    this.#turn = (this.#turn + 1) % Math.max(1, buffers.length);
    for (const buffer of [...buffers.slice(this.#turn), ...buffers.slice(0, this.#turn)]) {
      if (entriesLeft <= 0 || bytesLeft <= 0) break;
      if (!buffer.isStarted || buffer.isPaused || !buffer.hasEntries) continue;
      const before = buffer.sizeBytes;
      const entries = buffer.take(entriesLeft, bytesLeft);
      batches.push({ ...buffer.partition, entries });
      entriesLeft -= entries.length;
      bytesLeft -= before - buffer.sizeBytes;
      if (buffer.sizeBytes < releasedBelowBytes) this.#release(buffer);
    }
    return batches;
  }
}
