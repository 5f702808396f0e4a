import kafkajs, { type Kafka, type Message, type Producer } from 'kafkajs';
import { ServiceError } from '../errors/service-error.ts';
import type { Clock } from '../lifecycle/clock.ts';
import type { KafkaTimeouts } from './kafka-client.ts';
import { encodeWrites } from './kafka-entry.ts';
import { kafkaError } from './kafka-error.ts';
import type { LogWrite, PartitionWriter, TopicPartition } from './port.ts';

export interface KafkaWriterParts {
  readonly kafka: Kafka;
  readonly timeouts: KafkaTimeouts;
  readonly clock: Clock;
  /** Reads the log's last sequence; asked once older producers are fenced. */
  readonly lastSequence: () => Promise<bigint>;
  readonly closed: (writer: PartitionWriter) => void;
}

/** One produce request holds this many bytes or one message; topics take more (kafka-topics.ts). */
const requestBytesMax = 1024 * 1024;

/** The transactional id: whoever initialises a producer with it fences all others of the partition. */
export function transactionalIdOf({ topic, partition }: TopicPartition): string {
  return `${transactionalIdPrefixOf(topic)}${partition}`;
}

/** What the transactional ids of a topic begin with, and those of no other topic: versions end topic names. */
export function transactionalIdPrefixOf(topic: string): string {
  return `lethe-${topic}-`;
}

/**
 * Opens the writer of a partition. Step by step: the broker raises the producer's epoch, which fences older writers and
 * ends what they left open; then the log's end is read. Dying in between harms nothing: the next one does the same.
 */
export async function openKafkaWriter(
  partition: TopicPartition,
  parts: KafkaWriterParts,
): Promise<PartitionWriter> {
  const { kafka, timeouts } = parts;
  const producer = kafka.producer({
    transactionalId: transactionalIdOf(partition),
    transactionTimeout: timeouts.transactionMs,
    maxInFlightRequests: 1,
    allowAutoTopicCreation: false,
    createPartitioner: kafkajs.Partitioners.DefaultPartitioner,
    // The broker answers CONCURRENT_TRANSACTIONS for some milliseconds after a commit: begin with short waits. What
    // takes longer ends the writer.
    retry: { initialRetryTime: 10, factor: 0.2, multiplier: 2, maxRetryTime: 500, retries: 8 },
  });
  const name = `${partition.topic}/${partition.partition}`;
  try {
    await producer.connect();
    // The client initialises the producer at its first transaction and never again; this one is empty.
    const nothing = await producer.transaction();
    await nothing.abort();
    const lastSequence = await parts.lastSequence();
    return new KafkaWriter(partition, producer, lastSequence, parts);
  } catch (error) {
    await disconnectQuietly(producer);
    throw kafkaError(error, `opening the writer of ${name}`);
  }
}

class KafkaWriter implements PartitionWriter {
  readonly lastSequence: bigint;
  readonly #partition: TopicPartition;
  readonly #producer: Producer;
  readonly #parts: KafkaWriterParts;
  #newest: bigint;
  #isUsable = true;

  constructor(
    partition: TopicPartition,
    producer: Producer,
    lastSequence: bigint,
    parts: KafkaWriterParts,
  ) {
    this.#partition = partition;
    this.#producer = producer;
    this.#parts = parts;
    this.lastSequence = lastSequence;
    this.#newest = lastSequence;
  }

  async append(firstSequence: bigint, writes: readonly LogWrite[]): Promise<void> {
    const name = `${this.#partition.topic}/${this.#partition.partition}`;
    if (!this.#isUsable) {
      throw new ServiceError('SEQUENCE_CONFLICT', `this writer of ${name} failed or was closed`);
    }
    // Until the commit is known: a second append at the same time is refused as well.
    this.#isUsable = false;
    const records = writes.filter((write) => write.kind === 'record').length;
    if (records > 0 && firstSequence <= this.#newest) {
      throw new ServiceError('SEQUENCE_CONFLICT', `${name} has sequence ${firstSequence} already`);
    }
    try {
      if (writes.length > 0) await this.#appendInTransaction(firstSequence, writes);
    } catch (error) {
      // The outcome is unknown: the transaction may be committed, or open until the next writer ends it.
      throw kafkaError(error, `appending to ${name}`);
    }
    if (records > 0) this.#newest = firstSequence + BigInt(records) - 1n;
    this.#isUsable = true;
  }

  async close(): Promise<void> {
    this.#isUsable = false;
    this.#parts.closed(this);
    await disconnectQuietly(this.#producer);
  }

  /**
   * Readers see all of it or nothing. If the process dies before the commit is on the coordinator's disk, the next
   * writer (or the transaction's timeout) aborts it; after that, the coordinator carries the commit out.
   */
  async #appendInTransaction(firstSequence: bigint, writes: readonly LogWrite[]): Promise<void> {
    const { topic, partition } = this.#partition;
    const nowMs = this.#parts.clock.nowMs();
    const transaction = await this.#producer.transaction();
    for (const messages of requestsOf(encodeWrites(partition, firstSequence, writes, nowMs))) {
      await transaction.send({ topic, messages, acks: -1 });
    }
    await transaction.commit();
  }
}

/** The client makes one batch of each request, and the broker bounds a batch. */
function requestsOf(messages: readonly Message[]): Message[][] {
  const requests: Message[][] = [];
  let bytes = Infinity;
  for (const message of messages) {
    const size = (message.value?.length ?? 0) + 100;
    if (bytes + size > requestBytesMax) {
      requests.push([]);
      bytes = 0;
    }
    requests.at(-1)?.push(message);
    bytes += size;
  }
  return requests;
}

async function disconnectQuietly(producer: Producer): Promise<void> {
  try {
    await producer.disconnect();
  } catch {
    // It is not used again, and holds nothing but sockets.
  }
}
