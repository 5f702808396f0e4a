import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { described, readToEnd, recordNamed } from '@lethe/platform/event-log/contract-support.ts';
import { ServiceError } from '@lethe/platform/errors/service-error.ts';
import type { EventLog, PartitionWriter } from '@lethe/platform/event-log/port.ts';
import type { KafkaTopicSettings } from '@lethe/platform/event-log/kafka-topics.ts';
import { transactionalIdOf } from '@lethe/platform/event-log/kafka-writer.ts';
import { until } from '@lethe/platform/testing/until.ts';
import type { LocalBroker, LocalBrokers } from '../../deploy/local/kafka.ts';
import { createRandom } from '../simulation/core/random.ts';
import { bareClient, freshTopic, openLog, quickTopics } from './kafka-subject.ts';
import { SteadyReader } from './kafka-steady-reader.ts';
import { SteadyWriter } from './kafka-steady-writer.ts';

/** Each partition on all three brokers, an append acknowledged by two of them: the defaults of production. */
export const replicatedTopics: KafkaTopicSettings = {
  ...quickTopics,
  replicationFactor: 3,
  minInsyncReplicas: 2,
};

const partitions = 3;
const backWithinMs = 60_000;

export function brokerLossTests(cluster: () => LocalBrokers): void {
  const random = createRandom('three brokers 1');
  let log: EventLog;
  let topic: string;
  const open = async (topicSettings = replicatedTopics): Promise<void> => {
    const fresh = freshTopic('replicated', partitions);
    topic = fresh.name;
    log = await openLog(cluster().address, [fresh], {}, topicSettings);
  };
  afterEach(async () => {
    await log.close();
  });
  const brokersInTurn = (): readonly LocalBroker[] => {
    const [first, ...others] = cluster().brokers.toSorted(() => random.next() - 0.5);
    return first === undefined ? [] : [first, ...others];
  };
  /** The broker that leads each partition, by its place in the cluster. */
  const leaders = async (of = topic): Promise<readonly number[]> => {
    const admin = bareClient(cluster().address).admin();
    try {
      await admin.connect();
      const { topics } = await admin.fetchTopicMetadata({ topics: [of] });
      return (topics[0]?.partitions ?? [])
        .toSorted((one, other) => one.partitionId - other.partitionId)
        .map(({ leader }) => leader - 1);
    } finally {
      await admin.disconnect();
    }
  };
  /** The brokers that lead the first partition and coordinate its transactions, and those that only follow. */
  const byPart = async () => {
    const { brokers } = cluster();
    const [led] = await leaders();
    const coordinators = await leaders('__transaction_state');
    const hash = javaHash(transactionalIdOf({ topic, partition: 0 }));
    const serving = [led, coordinators[hash % coordinators.length]];
    return {
      serving: brokers.filter((_, at) => serving.includes(at)),
      others: brokers.filter((_, at) => !serving.includes(at)),
    };
  };
  const linesByPartition = async (): Promise<readonly (readonly string[])[]> => {
    const reader = await log.openReader({
      group: `lines-${randomBytes(6).toString('hex')}`,
      topics: [topic],
      startAt: async (assigned) => assigned.map(() => 0n),
    });
    const entries = await readToEnd(log, reader, [topic], 1_000);
    await reader.close();
    return Array.from({ length: partitions }, (_, at) => described(entries.get(`${topic}/${at}`)));
  };
  const numbered = (last: bigint) =>
    Array.from({ length: Number(last) }, (_, at) => `${at + 1} n${at + 1}`);
  const openUntilOpen = async (): Promise<PartitionWriter> => {
    for (;;) {
      try {
        return await log.openWriter({ topic, partition: 0 });
      } catch (error) {
        const isAway = error instanceof ServiceError && error.reason === 'STORE_UNAVAILABLE';
        assert.ok(isAway, String(error));
        await delay(100);
      }
    }
  };

  it('lose and repeat nothing while each of them is killed and comes back, under load', async () => {
    await open();
    const led = await leaders();
    assert.equal(new Set(led).size, partitions, 'each leads one');
    const writers = led.map((_, partition) => new SteadyWriter(log, { topic, partition }));
    const reader = new SteadyReader(log, topic, `steady-${topic}`);
    const isOver = new AbortController();
    const write = async (writer: SteadyWriter): Promise<void> => {
      while (!isOver.signal.aborted) {
        await writer.append(1 + random.whole(30));
        await delay(5);
      }
    };
    const reading = reader.run();
    const writing = Promise.all(writers.map(write));
    const eachWrote = async (more: bigint): Promise<void> => {
      const goals = writers.map(({ last }) => last + more);
      const isThere = () => writers.every(({ last }, at) => last >= (goals[at] ?? 0n));
      await Promise.race([until(isThere, backWithinMs), writing, reading]);
    };
    await eachWrote(50n);
    for (const broker of brokersInTurn()) {
      await broker.kill();
      // Without it: the two others take the writes.
      await eachWrote(50n);
      await broker.startAgain();
      await eachWrote(50n);
    }
    isOver.abort();
    await writing;
    const total = writers.reduce((sum, { last }) => sum + Number(last), 0);
    await Promise.race([until(() => reader.count >= total, backWithinMs), reading]);
    reader.stop();
    await reading;
    const expected = writers.map(({ last }) => numbered(last));
    assert.deepEqual(await linesByPartition(), expected);
    assert.deepEqual(reader.entries.map(described), expected);
    sayLosses(writers, reader, total);
  }).timeout(240_000);

  it('refuse appends while two are away, lose none that was acknowledged, and go on with two', async () => {
    await open();
    const partition = { topic, partition: 0 };
    const writer = await log.openWriter(partition);
    await writer.append(1n, [recordNamed('n1')]);
    // With its leader among them: one that is left does not answer, and the client waits for it several times.
    const { serving, others } = await byPart();
    const [first, second] = [...serving, ...others];
    assert.ok(first !== undefined && second !== undefined);
    await Promise.all([first.kill(), second.kill()]);
    let opening: Promise<PartitionWriter> | undefined;
    try {
      const unavailable = { code: 'UNAVAILABLE', reason: 'STORE_UNAVAILABLE' };
      await assert.rejects(writer.append(2n, [recordNamed('n2')]), unavailable);
      opening = openUntilOpen();
      // The client may try for long before it fails.
      assert.equal(await Promise.race([opening, delay(5_000, 'not open')]), 'not open');
    } finally {
      await first.startAgain();
    }
    const again = await opening;
    // Nobody was told that the second one is there.
    assert.ok(again.lastSequence === 1n || again.lastSequence === 2n, String(again.lastSequence));
    for (let next = again.lastSequence + 1n; next <= 3n; next += 1n)
      await again.append(next, [recordNamed(`n${next}`)]);
    await second.startAgain();
    await again.append(4n, [recordNamed('n4')]);
    assert.deepEqual(await linesByPartition(), [numbered(4n), [], []]);
  }).timeout(240_000);

  it('refuse appends by fewer replicas than are to acknowledge, and say so', async () => {
    await open({ ...replicatedTopics, minInsyncReplicas: 3 });
    const partition = { topic, partition: 0 };
    const steady = new SteadyWriter(log, partition);
    await steady.append(1);
    // The two others hear each other and the client.
    const broker = (await byPart()).others.at(-1);
    assert.ok(broker !== undefined);
    await broker.kill();
    const appending = steady.append(1);
    const isSaid = () =>
      [...steady.failures].some((each) => /fewer in-sync replicas than required/.test(each));
    try {
      await Promise.race([until(isSaid, backWithinMs), appending]);
      assert.equal(steady.last, 1n);
    } finally {
      await broker.startAgain();
    }
    await appending;
    assert.deepEqual(await linesByPartition(), [numbered(2n), [], []]);
  }).timeout(240_000);
}

/** By which Kafka finds the coordinator of a transactional id: Java's hash of a text, without its sign. */
function javaHash(text: string): number {
  const hash = Buffer.from(text).reduce((sum, byte) => (Math.imul(sum, 31) + byte) | 0, 0);
  return hash & 0x7fff_ffff;
}

function sayLosses(writers: readonly SteadyWriter[], reader: SteadyReader, total: number): void {
  const reopened = writers.reduce((sum, each) => sum + each.reopened, 0);
  const longestMs = Math.max(...writers.map((each) => each.longestMs));
  console.log(
    `      ${total} records, ${reopened} writers and ${reader.reopened} readers opened anew, an append took ${longestMs.toFixed(0)} ms at most`,
  );
  for (const failure of new Set(writers.flatMap(({ failures }) => [...failures])))
    console.log(`      writer ${failure}`);
  for (const failure of reader.failures) console.log(`      reader ${failure}`);
}
