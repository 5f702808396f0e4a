import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import kafkajs from 'kafkajs';
import { recordNamed } from '@lethe/platform/event-log/contract-support.ts';
import { configOf, ensureKafkaTopics } from '@lethe/platform/event-log/kafka-topics.ts';
import { ServiceError } from '@lethe/platform/errors/service-error.ts';
import type { EventLog } from '@lethe/platform/event-log/port.ts';
import { systemClock } from '@lethe/platform/lifecycle/clock.ts';
import { until } from '@lethe/platform/testing/until.ts';
import { topics as manifest } from '@lethe/proto/topics.ts';
import type { LocalBroker } from '../../deploy/local/kafka.ts';
import { bareClient, freshTopic, openLog, quickTopics } from './kafka-subject.ts';

export function topicTests(broker: () => LocalBroker): void {
  const opened: EventLog[] = [];
  afterEach(async () => {
    for (const log of opened.splice(0)) await log.close();
  });
  const openFor = async (topic: ReturnType<typeof freshTopic>): Promise<EventLog> => {
    const log = await openLog(broker().address, [topic]);
    opened.push(log);
    return log;
  };
  /** Polls until the reader fails. */
  const failureOf = async (log: EventLog, topic: string): Promise<ServiceError> => {
    const group = `failing-${randomBytes(6).toString('hex')}`;
    try {
      const startAt = async (assigned: readonly unknown[]) => assigned.map(() => 0n);
      const reader = await log.openReader({ group, topics: [topic], startAt });
      for (;;) await reader.poll({ recordsMax: 10, waitMs: 10_000 });
    } catch (error) {
      assert.ok(error instanceof ServiceError, String(error));
      return error;
    }
  };

  it('creates the topics of the manifest with its settings, and finds them right', async () => {
    const kafka = bareClient(broker().address);
    await ensureKafkaTopics(kafka, manifest, quickTopics, 'create', systemClock);
    await ensureKafkaTopics(kafka, manifest, quickTopics, 'create', systemClock);
    await ensureKafkaTopics(kafka, manifest, quickTopics, 'check', systemClock);
    const admin = kafka.admin();
    await admin.connect();
    const metadata = await admin.fetchTopicMetadata({ topics: manifest.map(({ name }) => name) });
    await admin.disconnect();
    assert.deepEqual(
      Object.fromEntries(metadata.topics.map(({ name, partitions }) => [name, partitions.length])),
      Object.fromEntries(manifest.map(({ name, partitions }) => [name, partitions])),
    );
    const privacy = manifest.find(({ name }) => name === 'privacy.v1');
    assert.ok(privacy !== undefined);
    assert.equal(configOf(privacy, quickTopics).get('cleanup.policy'), 'delete');
    assert.equal(configOf(privacy, quickTopics).get('retention.ms'), '-1');
  });

  it('refuses topics that are missing or other than the manifest says, naming all', async () => {
    const kafka = bareClient(broker().address);
    const made = freshTopic('made', 2);
    await ensureKafkaTopics(kafka, [made], quickTopics, 'create', systemClock);
    const missing = freshTopic('missing', 1);
    const wanted = [{ ...made, partitions: 3, cleanupPolicy: 'delete' as const }, missing];
    await assert.rejects(
      ensureKafkaTopics(kafka, wanted, quickTopics, 'check', systemClock),
      (error) => {
        assert.ok(
          error instanceof ServiceError && error.reason === 'CONFIG_INVALID',
          String(error),
        );
        assert.deepEqual(
          error.violations.map(({ field }) => field).toSorted(),
          [made.name, missing.name, `${made.name} cleanup.policy`].toSorted(),
        );
        return true;
      },
    );
    await ensureKafkaTopics(
      kafka,
      [{ ...made, partitions: 3 }],
      quickTopics,
      'create',
      systemClock,
    );
  });

  it('refuses topics with fewer replicas than the setting says, and takes those with more', async () => {
    const kafka = bareClient(broker().address);
    const made = freshTopic('replicated', 2);
    await ensureKafkaTopics(kafka, [made], quickTopics, 'create', systemClock);
    for (const mode of ['check', 'create'] as const) {
      const wanted = { ...quickTopics, replicationFactor: 2 };
      await assert.rejects(ensureKafkaTopics(kafka, [made], wanted, mode, systemClock), {
        reason: 'CONFIG_INVALID',
        violations: [
          { field: `${made.name} replication factor`, description: 'is 1 and must be at least 2' },
        ],
      });
    }
    const fewer = { ...quickTopics, replicationFactor: 0 };
    await ensureKafkaTopics(kafka, [made], fewer, 'check', systemClock);
  });

  for (const codec of ['zstd', 'snappy', 'lz4']) {
    it(`says what is wrong when a batch is compressed with ${codec}`, async () => {
      const topic = freshTopic(codec, 1);
      const admin = bareClient(broker().address).admin();
      await admin.connect();
      // The broker compresses again with the topic's own codec, as a foreign client would.
      const configEntries = [...configOf(topic, quickTopics), ['compression.type', codec]].map(
        ([name = '', value = '']) => ({ name, value }),
      );
      const unique = new Map(configEntries.map((entry) => [entry.name, entry]));
      await admin.createTopics({
        waitForLeaders: false,
        topics: [{ topic: topic.name, numPartitions: 1, configEntries: [...unique.values()] }],
      });
      await until(async () => (await admin.listTopics()).includes(topic.name));
      await admin.disconnect();
      const log = await openLog(broker().address, [topic], {}, 'unchecked');
      opened.push(log);
      const error = await writeAndFail(log, topic.name);
      assert.equal(error.reason, 'LOG_CODEC_UNSUPPORTED');
      assert.match(error.message, new RegExp(codec, 'i'));
      assert.match(error.message, new RegExp(topic.name));
    });
  }
  const writeAndFail = async (log: EventLog, topic: string): Promise<ServiceError> => {
    const writer = await log.openWriter({ topic, partition: 0 });
    await writer.append(1n, [recordNamed('compressed by the broker '.repeat(50))]);
    await writer.close();
    return failureOf(log, topic);
  };

  it('never finds a foreign codec on a topic of its own making', async () => {
    const topic = freshTopic('own', 1);
    const log = await openFor(topic);
    const kafka = bareClient(broker().address);
    const producer = kafka.producer({
      createPartitioner: kafkajs.Partitioners.DefaultPartitioner,
    });
    await producer.connect();
    const value = 'x'.repeat(5_000);
    const message = { partition: 0, key: Buffer.alloc(16, 7), value, headers: { sequence: '1' } };
    const compression = kafkajs.CompressionTypes.GZIP;
    await producer.send({ topic: topic.name, messages: [message], compression });
    await producer.disconnect();
    const writer = await log.openWriter({ topic: topic.name, partition: 0 });
    assert.equal(writer.lastSequence, 1n);
  });

  it('stops at a message that none of its writers made, naming the offset', async () => {
    const topic = freshTopic('foreign', 1);
    const log = await openFor(topic);
    const producer = bareClient(broker().address).producer({
      createPartitioner: kafkajs.Partitioners.DefaultPartitioner,
    });
    await producer.connect();
    await producer.send({
      topic: topic.name,
      messages: [{ partition: 0, key: 'what', value: 'ever' }],
    });
    await producer.disconnect();
    const error = await failureOf(log, topic.name);
    assert.equal(error.reason, 'RECORD_MALFORMED');
    assert.match(error.message, new RegExp(`${topic.name}/0 offset 0`));
  });
}
