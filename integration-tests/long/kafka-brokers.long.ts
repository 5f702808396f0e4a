import { eventLogContract } from '@lethe/platform/event-log/contract.ts';
import { type LocalBrokers, startLocalBrokers } from '../../deploy/local/kafka.ts';
import { brokerLossTests, replicatedTopics } from '../contracts/kafka-broker-losses.ts';
import { createKafkaSubject } from '../contracts/kafka-event-log.ts';
import { requireKafka } from '../contracts/kafka-subject.ts';

/**
 * The event log on three brokers. A long run and no contract, as some of the log's suite reads at once what was committed:
 * with several brokers a commit may be answered a moment before that shows.
 */
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
