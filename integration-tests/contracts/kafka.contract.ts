import { eventLogContract } from '@lethe/platform/event-log/contract.ts';
import { type LocalBroker, startLocalBroker } from '../../deploy/local/kafka.ts';
import { compactionTests } from './kafka-compaction.ts';
import { createKafkaSubject } from './kafka-event-log.ts';
import { groupTests } from './kafka-groups.ts';
import { requireKafka } from './kafka-subject.ts';
import { topicTests } from './kafka-topic-checks.ts';
import { writerTests } from './kafka-writers.ts';

describe('Kafka', function () {
  this.timeout(120_000);
  let broker: LocalBroker;
  before(async function () {
    if (!requireKafka()) this.skip();
    broker = await startLocalBroker();
    console.log(`    Apache Kafka ${broker.version}`);
  });
  after(async () => {
    await broker?.remove();
  });
  const brokerOf = () => broker;

  eventLogContract('Kafka', () => createKafkaSubject(broker.address));
  describe('writers', () => writerTests(brokerOf));
  describe('groups', () => groupTests(brokerOf));
  describe('topics and foreign records', () => topicTests(brokerOf));
  describe('compaction', () => compactionTests(brokerOf));
});
