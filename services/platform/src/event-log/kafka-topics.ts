import kafkajs, { type Admin, type ITopicMetadata, type Kafka } from 'kafkajs';
import type { Topic } from '@lethe/proto/topics.ts';
import { type FieldViolation, ServiceError } from '../errors/service-error.ts';
import type { Clock } from '../lifecycle/clock.ts';
import { kafkaError } from './kafka-error.ts';

/** What Kafka needs to know of a topic of the manifest. */
export type KafkaTopic = Pick<Topic, 'name' | 'partitions' | 'cleanupPolicy' | 'retentionMs'>;

/** What the cluster decides and the manifest does not. docs/operators/kafka.md says why each matters. */
export interface KafkaTopicSettings {
  readonly replicationFactor: number;
  /** An append is acknowledged by this many replicas. */
  readonly minInsyncReplicas: number;
  /** By then a tombstoned record is compacted away; its segment is rolled by then too, once something is appended. */
  readonly maxCompactionLagMs: number;
  /** How long tombstones and aborted transactions' markers stay after compaction. */
  readonly deleteRetentionMs: number;
  /** The largest batch; more than one request of a writer and than any record. */
  readonly messageBytesMax: number;
}

export const defaultKafkaTopicSettings: KafkaTopicSettings = {
  replicationFactor: 3,
  minInsyncReplicas: 2,
  maxCompactionLagMs: 6 * 3_600_000,
  deleteRetentionMs: 24 * 3_600_000,
  messageBytesMax: 2 * 1024 * 1024,
};

/** The topic's settings on the broker, by Kafka's names. */
export function configOf(
  topic: KafkaTopic,
  settings: KafkaTopicSettings,
): ReadonlyMap<string, string> {
  const compaction = String(settings.maxCompactionLagMs);
  return new Map([
    ['cleanup.policy', topic.cleanupPolicy],
    ['retention.ms', String(topic.retentionMs)],
    ['retention.bytes', '-1'],
    ['min.insync.replicas', String(settings.minInsyncReplicas)],
    ['unclean.leader.election.enable', 'false'],
    ['max.message.bytes', String(settings.messageBytesMax)],
    // The log's time is what the writer says: recorded_at.
    ['message.timestamp.type', 'CreateTime'],
    // Boxes do not compress, and a foreign client's codec is one that our readers may not know.
    ['compression.type', 'uncompressed'],
    ...(topic.cleanupPolicy === 'compact'
      ? ([
          ['max.compaction.lag.ms', compaction],
          ['min.compaction.lag.ms', '0'],
          ['segment.ms', compaction],
          ['delete.retention.ms', String(settings.deleteRetentionMs)],
        ] as const)
      : []),
  ]);
}

/**
 * `create`: makes the topics that are missing and raises partition numbers. `check`: changes nothing. Both then compare
 * everything and throw CONFIG_INVALID with a violation for each topic and setting that is not as it must be: a setting
 * of an existing topic is the operator's to change, as the client could only replace all of them at once.
 */
export async function ensureKafkaTopics(
  kafka: Kafka,
  topics: readonly KafkaTopic[],
  settings: KafkaTopicSettings,
  mode: 'create' | 'check',
  clock: Clock,
): Promise<void> {
  const admin = kafka.admin();
  try {
    await admin.connect();
    if (mode === 'create') await createMissing(admin, topics, settings);
    // Looked at once: each request may go to another broker, which may not have heard yet of what was created.
    const existing =
      mode === 'create'
        ? await untilThere(admin, topics, clock)
        : await existingTopics(admin, topics);
    const compareSettings = async () => await settingViolations(admin, existing, topics, settings);
    const violations = [
      ...partitionViolations(existing, topics),
      ...replicationViolations(existing, settings),
      ...(mode === 'create'
        ? await untilAnswered(compareSettings, clock)
        : await compareSettings()),
    ];
    if (violations.length === 0) return;
    const list = violations.map(({ field, description }) => `${field}: ${description}`).join('; ');
    throw new ServiceError('CONFIG_INVALID', `Kafka topics: ${list}`, { violations });
  } catch (error) {
    throw kafkaError(error, 'creating or checking topics');
  } finally {
    await admin.disconnect();
  }
}

async function createMissing(
  admin: Admin,
  topics: readonly KafkaTopic[],
  settings: KafkaTopicSettings,
): Promise<void> {
  const there = partitionsOf(await existingTopics(admin, topics));
  for (const topic of topics) {
    const partitions = there.get(topic.name);
    if (partitions === undefined) {
      // Answers false when another process was faster.
      await admin.createTopics({
        // The library's own wait throws when a broker has not heard of the topic yet.
        waitForLeaders: false,
        topics: [
          {
            topic: topic.name,
            numPartitions: topic.partitions,
            replicationFactor: settings.replicationFactor,
            configEntries: Array.from(configOf(topic, settings), ([name, value]) => ({
              name,
              value,
            })),
          },
        ],
      });
    } else if (partitions < topic.partitions) {
      await admin.createPartitions({
        topicPartitions: [{ topic: topic.name, count: topic.partitions }],
      });
    }
  }
}

/** A broker learns of what was created a moment later. What is not there in time is found by the comparison. */
async function untilThere(
  admin: Admin,
  topics: readonly KafkaTopic[],
  clock: Clock,
): Promise<readonly ITopicMetadata[]> {
  let existing: readonly ITopicMetadata[] = [];
  for (let attempt = 1; attempt <= attemptsMax; attempt += 1) {
    existing = await untilAnswered(async () => await existingTopics(admin, topics), clock);
    const there = partitionsOf(existing);
    if (topics.every(({ name, partitions }) => (there.get(name) ?? 0) >= partitions)) break;
    await clock.sleep(attemptDelayMs);
  }
  return existing;
}

/** A broker that has not heard of a topic yet says that there is none, or that nobody leads it. */
async function untilAnswered<Answer>(
  ask: () => Promise<Answer>,
  clock: Clock,
  attempt = 1,
): Promise<Answer> {
  try {
    return await ask();
  } catch (error) {
    const { reason } = kafkaError(error, 'creating topics');
    if (reason !== 'STORE_UNAVAILABLE' || attempt === attemptsMax) throw error;
  }
  await clock.sleep(attemptDelayMs);
  return await untilAnswered(ask, clock, attempt + 1);
}

const attemptsMax = 100;
const attemptDelayMs = 100;

async function existingTopics(
  admin: Admin,
  topics: readonly KafkaTopic[],
): Promise<readonly ITopicMetadata[]> {
  const wanted = new Set(topics.map(({ name }) => name));
  const names = (await admin.listTopics()).filter((name) => wanted.has(name));
  if (names.length === 0) return [];
  return (await admin.fetchTopicMetadata({ topics: names })).topics;
}

function partitionsOf(existing: readonly ITopicMetadata[]): ReadonlyMap<string, number> {
  return new Map(existing.map(({ name, partitions }) => [name, partitions.length]));
}

function partitionViolations(
  all: readonly ITopicMetadata[],
  topics: readonly KafkaTopic[],
): FieldViolation[] {
  const there = partitionsOf(all);
  return topics.flatMap(({ name, partitions }) => {
    const found = there.get(name);
    if (found === partitions) return [];
    const description =
      found === undefined
        ? 'does not exist, or this principal may not describe it'
        : `has ${found} partitions and must have ${partitions}`;
    return [{ field: name, description }];
  });
}

/** With one replica alone the broker acknowledges by itself, whatever min.insync.replicas says. */
function replicationViolations(
  all: readonly ITopicMetadata[],
  { replicationFactor }: KafkaTopicSettings,
): FieldViolation[] {
  return all.flatMap(({ name, partitions }) => {
    const found = Math.min(...partitions.map(({ replicas }) => replicas.length));
    if (found >= replicationFactor) return [];
    const description = `is ${found} and must be at least ${replicationFactor}`;
    return [{ field: `${name} replication factor`, description }];
  });
}

async function settingViolations(
  admin: Admin,
  all: readonly ITopicMetadata[],
  topics: readonly KafkaTopic[],
  settings: KafkaTopicSettings,
): Promise<FieldViolation[]> {
  const there = partitionsOf(all);
  const existing = topics.filter(({ name }) => there.has(name));
  if (existing.length === 0) return [];
  const { resources } = await admin.describeConfigs({
    includeSynonyms: false,
    resources: existing.map(({ name }) => ({ type: kafkajs.ConfigResourceTypes.TOPIC, name })),
  });
  return existing.flatMap((topic) => {
    const entries = resources.find(
      ({ resourceName }) => resourceName === topic.name,
    )?.configEntries;
    const found = new Map(entries?.map(({ configName, configValue }) => [configName, configValue]));
    return [...configOf(topic, settings)]
      .filter(([name, value]) => found.get(name) !== value)
      .map(([name, value]) => ({
        field: `${topic.name} ${name}`,
        description: `is ${found.get(name) ?? 'unknown'} and must be ${value}`,
      }));
  });
}

/** How long a topic keeps records, as the broker has it; undefined for ever. */
export async function readRetentionMs(admin: Admin, topic: string): Promise<number | undefined> {
  const { resources } = await admin.describeConfigs({
    includeSynonyms: false,
    resources: [
      { type: kafkajs.ConfigResourceTypes.TOPIC, name: topic, configNames: ['retention.ms'] },
    ],
  });
  const found = resources[0]?.configEntries.find(({ configName }) => configName === 'retention.ms');
  const retentionMs = Number(found?.configValue ?? -1);
  return retentionMs < 0 ? undefined : retentionMs;
}
