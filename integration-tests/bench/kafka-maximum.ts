import { randomBytes } from 'node:crypto';
import kafkajs, { type Consumer, type Kafka, type Producer } from 'kafkajs';
import type { RealPlaces } from './real-places.ts';

/** The client library alone, without transactions, sequences and checkpoints: what it can do on this machine. */
export interface KafkaMaximum {
  /** Appends to all partitions at once, acks=all; answers the milliseconds until the last is acknowledged. */
  produce(records: number): Promise<number>;
  /** Reads from the beginning in a group of its own; answers the milliseconds from having joined to the last record. */
  consume(records: number): Promise<number>;
  /**
   * Both at the same time; answers the milliseconds until the consumer has seen the last record. Not to be mixed with
   * `produce`.
   */
  roundTrip(records: number): Promise<number>;
  close(): Promise<void>;
}

export const maximumPartitions = 6;
/** As many in one request as a relay takes. */
export const recordsPerRequest = 500;
/** A record of a 1 KB event with its boxes takes about this on the log. */
export const recordBytes = 1_400;
const topic = 'bench-maximum';

export async function openKafkaMaximum({ kafka: place }: RealPlaces): Promise<KafkaMaximum> {
  if (place === undefined) throw new RangeError('the measurement does not list kafka');
  const kafka = new kafkajs.Kafka({
    brokers: [place.address],
    clientId: 'maximum',
    logLevel: kafkajs.logLevel.NOTHING,
  });
  const admin = kafka.admin();
  await admin.connect();
  await admin.createTopics({ topics: [{ topic, numPartitions: maximumPartitions }] });
  await admin.disconnect();
  const producer = kafka.producer({
    createPartitioner: kafkajs.Partitioners.DefaultPartitioner,
    allowAutoTopicCreation: false,
  });
  await producer.connect();
  let following: Reading | undefined;
  return {
    produce: async (records) => await timed(async () => await produceAll(producer, records)),
    consume: async (records) => {
      const reading = await openConsumer(kafka, true);
      await reading.seen(records);
      const tookMs = performance.now() - reading.joinedMs;
      await reading.consumer.disconnect();
      return tookMs;
    },
    roundTrip: async (records) => {
      const reading = (following ??= await openConsumer(kafka, false));
      return await timed(async () => {
        const all = reading.seen(perPartition(records) * maximumPartitions);
        await produceAll(producer, records);
        await all;
      });
    },
    close: async () => {
      await following?.consumer.disconnect();
      await producer.disconnect();
    },
  };
}

async function timed(work: () => Promise<void>): Promise<number> {
  const beganMs = performance.now();
  await work();
  return performance.now() - beganMs;
}

function perPartition(records: number): number {
  return Math.ceil(records / maximumPartitions);
}

async function produceAll(producer: Producer, records: number): Promise<void> {
  const wanted = perPartition(records);
  const value = randomBytes(recordBytes);
  const producePartition = async (partition: number) => {
    for (let sent = 0; sent < wanted; sent += recordsPerRequest) {
      const count = Math.min(recordsPerRequest, wanted - sent);
      const messages = Array.from({ length: count }, () => ({
        partition,
        key: randomBytes(16),
        value,
      }));
      await producer.send({ topic, acks: -1, messages });
    }
  };
  await Promise.all(Array.from({ length: maximumPartitions }, (_, each) => producePartition(each)));
}

interface Reading {
  readonly consumer: Consumer;
  readonly joinedMs: number;
  /** Resolves once so many more were seen than at the last call. */
  seen(records: number): Promise<void>;
}

async function openConsumer(kafka: Kafka, fromBeginning: boolean): Promise<Reading> {
  const groupId = `maximum-${randomBytes(6).toString('hex')}`;
  const consumer = kafka.consumer({ groupId, maxWaitTimeInMs: 100 });
  const joined = Promise.withResolvers<number>();
  consumer.on(consumer.events.GROUP_JOIN, () => joined.resolve(performance.now()));
  await consumer.connect();
  await consumer.subscribe({ topics: [topic], fromBeginning });
  let [total, claimed] = [0, 0];
  const waiting: { readonly at: number; readonly reached: () => void }[] = [];
  await consumer.run({
    autoCommit: false,
    eachBatch: ({ batch }) => {
      total += batch.messages.length;
      while ((waiting[0]?.at ?? Infinity) <= total) waiting.shift()?.reached();
      return Promise.resolve();
    },
  });
  const joinedMs = await joined.promise;
  return {
    consumer,
    joinedMs,
    seen: async (records) => {
      claimed += records;
      if (total >= claimed) return;
      const { promise, resolve } = Promise.withResolvers<void>();
      waiting.push({ at: claimed, reached: resolve });
      await promise;
    },
  };
}
