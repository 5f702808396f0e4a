import type { Kafka } from 'kafkajs';
import { ServiceError } from '../errors/service-error.ts';
import type { Clock, RandomBytes } from '../lifecycle/clock.ts';
import type { Logger } from '../log/logger.ts';
import { SharedAdmin } from './kafka-admin.ts';
import { createKafkaClient, defaultKafkaTimeouts, type KafkaTimeouts } from './kafka-client.ts';
import { kafkaError } from './kafka-error.ts';
import { openKafkaReader } from './kafka-reader.ts';
import type { KafkaSettings } from './kafka-settings.ts';
import { createKafkaTail, type KafkaTail, type OffsetBounds } from './kafka-tail.ts';
import {
  ensureKafkaTopics,
  type KafkaTopic,
  type KafkaTopicSettings,
  readRetentionMs,
} from './kafka-topics.ts';
import { openKafkaWriter } from './kafka-writer.ts';
import type { EventLog, LogReader, PartitionWriter, TopicPartition } from './port.ts';

export interface KafkaEventLogOptions {
  readonly settings: KafkaSettings;
  /** From proto/topics.ts: those that this process writes or reads. */
  readonly topics: readonly KafkaTopic[];
  /** Absent: topics are neither created nor checked. */
  readonly ensure?: {
    readonly mode: 'create' | 'check';
    readonly topicSettings: KafkaTopicSettings;
  };
  readonly clock: Clock;
  readonly randomBytes: RandomBytes;
  readonly logger: Logger;
  readonly timeouts?: Partial<KafkaTimeouts>;
}

/**
 * The event log on Apache Kafka 4.x. Throws CONFIG_INVALID when a topic is not as it must be, STORE_UNAVAILABLE when
 * no broker answers, LOG_ACCESS_DENIED when this principal may not.
 */
export async function openKafkaEventLog(options: KafkaEventLogOptions): Promise<EventLog> {
  const timeouts = { ...defaultKafkaTimeouts, ...options.timeouts };
  const kafka = createKafkaClient(options.settings, timeouts, options.logger);
  const { ensure, topics } = options;
  if (ensure !== undefined) {
    await ensureKafkaTopics(kafka, topics, ensure.topicSettings, ensure.mode, options.clock);
  }
  return new KafkaEventLog(kafka, timeouts, options);
}

class KafkaEventLog implements EventLog {
  readonly system = 'kafka';
  readonly compactionLagMs: number | undefined;
  readonly #kafka: Kafka;
  readonly #timeouts: KafkaTimeouts;
  readonly #options: KafkaEventLogOptions;
  readonly #partitions: ReadonlyMap<string, number>;
  readonly #open = new Set<LogReader | PartitionWriter>();
  readonly #tails = new Map<string, KafkaTail>();
  readonly #admin: SharedAdmin;
  #isClosed = false;

  constructor(kafka: Kafka, timeouts: KafkaTimeouts, options: KafkaEventLogOptions) {
    this.#kafka = kafka;
    this.#admin = new SharedAdmin(kafka);
    this.#timeouts = timeouts;
    this.#options = options;
    this.compactionLagMs = options.ensure?.topicSettings.maxCompactionLagMs;
    this.#partitions = new Map(options.topics.map(({ name, partitions }) => [name, partitions]));
  }

  async openWriter(partition: TopicPartition): Promise<PartitionWriter> {
    this.#assertOpen();
    const name = `${partition.topic}/${partition.partition}`;
    if (partition.partition >= this.partitionsOf(partition.topic)) {
      throw new RangeError(`the log has no partition ${name}`);
    }
    const tail = this.#tailOf(partition.topic);
    const writer = await openKafkaWriter(partition, {
      kafka: this.#kafka,
      timeouts: this.#timeouts,
      clock: this.#options.clock,
      lastSequence: () => tail.lastSequence(partition),
      closed: (closed) => this.#open.delete(closed),
    });
    this.#open.add(writer);
    return writer;
  }

  async openReader(options: Parameters<EventLog['openReader']>[0]): Promise<LogReader> {
    this.#assertOpen();
    // Throws for a topic that the manifest lacks.
    for (const topic of options.topics) this.partitionsOf(topic);
    const reader = await openKafkaReader(options, {
      kafka: this.#kafka,
      timeouts: this.#timeouts,
      clock: this.#options.clock,
      closed: (closed) => this.#open.delete(closed),
    });
    this.#open.add(reader);
    return reader;
  }

  partitionsOf(topic: string): number {
    const count = this.#partitions.get(topic);
    if (count === undefined) throw new RangeError(`the log has no topic ${topic}`);
    return count;
  }

  /** Of what readers may see: the client asks for the last stable offset, before any open transaction. */
  async endOffsets(topic: string): Promise<readonly bigint[]> {
    this.#assertOpen();
    const bounds = await this.#boundsOf(topic);
    return Array.from({ length: this.partitionsOf(topic) }, (_, partition) => {
      const end = bounds.get(partition)?.end;
      if (end === undefined) throw new RangeError(`Kafka has no partition ${topic}/${partition}`);
      return end;
    });
  }

  /** As the broker has it: what was right at the start may have been changed since. */
  async retentionMs(topic: string): Promise<number | undefined> {
    this.#assertOpen();
    try {
      return await this.#admin.ask(async (admin) => readRetentionMs(admin, topic));
    } catch (error) {
      throw kafkaError(error, `asking how long ${topic} keeps records`);
    }
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await Promise.all(Array.from(this.#open, (each) => each.close()));
    await Promise.all(Array.from(this.#tails.values(), (tail) => tail.close()));
    await this.#admin.close();
  }

  #assertOpen(): void {
    if (this.#isClosed) throw new ServiceError('SHUTTING_DOWN', 'the event log is closed');
  }

  #tailOf(topic: string): KafkaTail {
    const known = this.#tails.get(topic);
    if (known !== undefined) return known;
    const { clock, randomBytes } = this.#options;
    const tail = createKafkaTail(topic, {
      kafka: this.#kafka,
      timeouts: this.#timeouts,
      clock,
      randomBytes,
      bounds: async ({ partition }) => {
        const found = (await this.#boundsOf(topic)).get(partition);
        if (found === undefined)
          throw new RangeError(`Kafka has no partition ${topic}/${partition}`);
        return found;
      },
    });
    this.#tails.set(topic, tail);
    return tail;
  }

  async #boundsOf(topic: string): Promise<ReadonlyMap<number, OffsetBounds>> {
    try {
      const offsets = await this.#admin.ask(async (admin) => admin.fetchTopicOffsets(topic));
      return new Map(
        offsets.map(({ partition, low, high }) => [
          partition,
          { low: BigInt(low), end: BigInt(high) },
        ]),
      );
    } catch (error) {
      throw kafkaError(error, `asking where ${topic} ends`);
    }
  }
}
