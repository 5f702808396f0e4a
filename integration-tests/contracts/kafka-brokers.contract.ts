import { eventLogContract } from '@lethe/platform/event-log/contract.ts';
import { type LocalBrokers, startLocalBrokers } from '../../deploy/local/kafka.ts';
import { brokerLossTests, replicatedTopics } from './kafka-broker-losses.ts';
import { createKafkaSubject } from './kafka-event-log.ts';
import { requireKafka } from './kafka-subject.ts';

describe('Kafka, three brokers', function () {
  this.timeout(120_000);
  let cluster: LocalBrokers;
  before(async function () {
    if (!requireKafka()) this.skip();
    cluster = await startLocalBrokers(3);
    console.log(`    Apache Kafka ${cluster.brokers[0]?.version}, three brokers`);
  });
  after(async () => {
    await cluster?.remove();
  });

  eventLogContract('three brokers', () => createKafkaSubject(cluster.address, replicatedTopics));
  describe('brokers that go away', () => brokerLossTests(() => cluster));
});
