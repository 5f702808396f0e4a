import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import kafkajs, { type Kafka } from 'kafkajs';
import { openKafkaEventLog } from '@lethe/platform/event-log/kafka.ts';
import {
  createKafkaClient,
  defaultKafkaTimeouts,
  type KafkaTimeouts,
} from '@lethe/platform/event-log/kafka-client.ts';
import type { KafkaTopic, KafkaTopicSettings } from '@lethe/platform/event-log/kafka-topics.ts';
import { described, readToEnd } from '@lethe/platform/event-log/contract-support.ts';
import type { EventLog, TopicPartition } from '@lethe/platform/event-log/port.ts';
import { systemClock } from '@lethe/platform/lifecycle/clock.ts';
import { createLogger } from '@lethe/platform/log/logger.ts';
import { whyNoKafka } from '../../deploy/local/kafka.ts';

const logger = createLogger({ service: 'contract', level: 'silent' });

/** One broker, compacted within a second. */
export const quickTopics: KafkaTopicSettings = {
  replicationFactor: 1,
  minInsyncReplicas: 1,
  maxCompactionLagMs: 1_000,
  deleteRetentionMs: 600_000,
  messageBytesMax: 2 * 1024 * 1024,
};

/** Of one broker, or of several with commas between. */
export const settingsFor = (address: string) => ({
  brokers: address.split(','),
  clientId: 'contract',
});

/** A compacted topic that nobody used before. */
export function freshTopic(purpose: string, partitions: number): KafkaTopic {
  const name = `${purpose}-${randomBytes(6).toString('hex')}`;
  return { name, partitions, cleanupPolicy: 'compact', retentionMs: -1 };
}

export async function openLog(
  address: string,
  topics: readonly KafkaTopic[],
  timeouts: Partial<KafkaTimeouts> = {},
  topicSettings: KafkaTopicSettings | 'unchecked' = quickTopics,
): Promise<EventLog> {
  return openKafkaEventLog({
    settings: settingsFor(address),
    topics,
    ...(topicSettings === 'unchecked' ? {} : { ensure: { mode: 'create', topicSettings } }),
    clock: systemClock,
    randomBytes,
    logger,
    timeouts: { fetchWaitMs: 50, heartbeatMs: 200, ...timeouts },
  });
}

/** The client library itself, for what the adapter does not do. */
export function bareClient(address: string): Kafka {
  return createKafkaClient(settingsFor(address), defaultKafkaTimeouts, logger);
}

/**
 * Something that readers never see and that makes each partition begin a new segment: an aborted transaction of another
 * producer, with the time of now. Compaction leaves the newest segment alone.
 */
export async function rollSegments(
  address: string,
  partitions: readonly TopicPartition[],
): Promise<void> {
  const producer = bareClient(address).producer({
    transactionalId: `roll-${randomBytes(6).toString('hex')}`,
    createPartitioner: kafkajs.Partitioners.DefaultPartitioner,
    retry: { initialRetryTime: 10, retries: 8 },
  });
  await producer.connect();
  try {
    const transaction = await producer.transaction();
    for (const { topic, partition } of partitions) {
      await transaction.send({ topic, messages: [{ partition, key: 'roll', value: 'roll' }] });
    }
    await transaction.abort();
  } finally {
    await producer.disconnect();
  }
}

/** The bytes of every file of a topic in the broker's data folder, those about to be deleted included. */
export function filesOf(brokerFolder: string, topic: string): Map<string, Buffer> {
  const data = join(brokerFolder, 'data');
  const files = new Map<string, Buffer>();
  for (const folder of readdirSync(data).filter((name) => name.startsWith(`${topic}-`))) {
    for (const file of readdirSync(join(data, folder))) {
      if (!/\.(log|deleted|swap|cleaned)$/.test(file)) continue;
      try {
        files.set(`${folder}/${file}`, readFileSync(join(data, folder, file)));
      } catch {
        // Deleted between the listing and the read.
      }
    }
  }
  return files;
}

/** Whether a broker can be started here; says loudly why not. In CI that is a failure. */
export function requireKafka(): boolean {
  const reason = whyNoKafka();
  if (reason === undefined) return true;
  if (process.env['CI'] === 'true') throw new Error(`CI needs Kafka: ${reason}`);
  console.warn(`SKIPPED: Kafka cannot be started: ${reason}`);
  return false;
}

/** Everything that is committed on the first partition of a topic, as lines. */
export async function linesOn(log: EventLog, topic: string): Promise<string[]> {
  const group = `lines-${randomBytes(6).toString('hex')}`;
  const startAt = async (assigned: readonly TopicPartition[]) => assigned.map(() => 0n);
  const reader = await log.openReader({ group, topics: [topic], startAt });
  const entries = await readToEnd(log, reader, [topic], 1_000);
  await reader.close();
  return described(entries.get(`${topic}/0`));
}
