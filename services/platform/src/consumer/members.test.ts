import assert from 'node:assert/strict';
import type { Kysely } from 'kysely';
import { pino } from 'pino';
import { ServiceError } from '../errors/service-error.ts';
import type { EventLog, LogReader, ReaderOptions, TopicPartition } from '../event-log/port.ts';
import { createInProcessNetwork } from '../grpc/in-process.ts';
import { type Clock, systemClock } from '../lifecycle/clock.ts';
import {
  type AppliedSchema,
  appliedOf,
  clearApplied,
  createAppliedTables,
  storeApplied,
} from '../testing/applied-records.ts';
import { emptyRecord, openTestLog, recordWrite, type TestLog } from '../testing/log-records.ts';
import { openTestDatabase } from '../testing/test-database.ts';
import { until } from '../testing/until.ts';
import { type Consumer, createConsumer } from './consumer.ts';

const mine: TopicPartition = { topic: 'tickets.v1', partition: 0 };
const lost: TopicPartition = { topic: 'tickets.v1', partition: 1 };
type At = Parameters<typeof storeApplied>[0];
const hurriedClock: Clock = {
  ...systemClock,
  sleep: (_ms, signal) => systemClock.sleep(1, signal),
};

/** A reader of some partitions alone, which knows nothing of the others, as Kafka's readers do. */
function memberOf(reader: LogReader, assigned: readonly TopicPartition[]): LogReader {
  const holds = ({ topic, partition }: TopicPartition): boolean =>
    assigned.some((each) => each.topic === topic && each.partition === partition);
  const known = (partition: TopicPartition): TopicPartition => {
    if (!holds(partition)) throw new RangeError(`${partition.partition} was never assigned`);
    return partition;
  };
  return {
    poll: async (options) => (await reader.poll(options)).filter(holds),
    seek: (partition, offset) => reader.seek(known(partition), offset),
    pause: (partition) => reader.pause(known(partition)),
    resume: (partition) => reader.resume(known(partition)),
    position: (partition) => reader.position(known(partition)),
    holds,
    close: () => reader.close(),
  };
}

/** The log as a member of a group sees it: each further reader has the next of these assignments. */
function groupOf(
  log: EventLog,
  assignments: readonly (readonly TopicPartition[])[],
): { readonly log: EventLog; breakReader: () => void; opened: () => number } {
  const rest = [...assignments];
  let isBroken = false;
  let opened = 0;
  const openReader: EventLog['openReader'] = async (options) => {
    isBroken = false;
    opened += 1;
    const assigned = rest.shift() ?? [];
    const offsets = await options.startAt(assigned);
    const all = await log.openReader({
      ...options,
      startAt: async (partitions) =>
        partitions.map(
          ({ partition }) =>
            offsets[assigned.findIndex((each) => each.partition === partition)] ?? 0n,
        ),
    });
    const member = memberOf(all, assigned);
    return {
      ...member,
      poll: async (given) => {
        if (isBroken) throw new ServiceError('STORE_UNAVAILABLE');
        return await member.poll(given);
      },
    };
  };
  return {
    log: {
      openWriter: (partition) => log.openWriter(partition),
      partitionsOf: (topic) => log.partitionsOf(topic),
      endOffsets: (topic) => log.endOffsets(topic),
      close: () => log.close(),
      openReader,
    },
    breakReader: () => (isBroken = true),
    opened: () => opened,
  };
}

describe('a consumer that is one of several members', function () {
  this.timeout(60_000);
  let db: Kysely<AppliedSchema>;
  let testLog: TestLog;
  let consumer: Consumer;

  before(async () => {
    db = await openTestDatabase<AppliedSchema>('consumer-members');
    await createAppliedTables(db);
  });
  beforeEach(async () => {
    await clearApplied(db);
    testLog = openTestLog();
  });
  afterEach(async () => {
    await consumer.stop();
    await testLog.destroy();
  });
  const append = async (partition: TopicPartition, sequence: bigint): Promise<void> => {
    const writer = await testLog.log.openWriter(partition);
    const name = `${partition.partition}#${sequence}`;
    await writer.append(sequence, [recordWrite(emptyRecord(name))]);
    await writer.close();
  };

  const start = (eventLog: EventLog, at: At = () => {}, clock: Clock = hurriedClock): Consumer => {
    const started = createConsumer({
      name: 'predictions',
      db,
      eventLog,
      topics: ['tickets.v1'],
      peers: createInProcessNetwork().peersFor('predictions'),
      effect: storeApplied(at),
      clock,
      logger: pino({ level: 'silent' }),
      waitMs: 5,
    });
    started.start();
    return started;
  };
  const failsAtLost: NonNullable<At> = (step, { from }) => {
    if (step === 'prepare' && from.partition === lost.partition)
      throw new ServiceError('STORE_UNAVAILABLE');
  };

  it('goes on with what it has after its reader broke and another member took a partition', async () => {
    const group = groupOf(testLog.log, [[mine, lost], [mine]]);
    consumer = start(group.log);
    for (const partition of [mine, lost]) await append(partition, 1n);
    await until(async () => (await appliedOf(db, lost)).length === 1);
    group.breakReader();
    await until(() => group.opened() === 2);
    await append(mine, 2n);
    await until(
      async () => consumer.problem() !== undefined || (await appliedOf(db, mine)).length === 2,
    );
    assert.equal(consumer.problem(), undefined);
    assert.deepEqual(await appliedOf(db, mine), [1n, 2n]);
  });

  it('has no problem with a partition that another member took', async () => {
    const group = groupOf(testLog.log, [[mine, lost], [mine]]);
    consumer = start(group.log, failsAtLost);
    for (const partition of [mine, lost]) await append(partition, 1n);
    await until(() => consumer.problem() !== undefined);
    group.breakReader();
    await until(() => group.opened() === 2);
    await append(mine, 2n);
    await until(async () => (await appliedOf(db, mine)).length === 2);
    assert.equal(consumer.problem(), undefined);
  });

  it('has no problem any more once another member is past it, also when that is seen by an assignment', async () => {
    const assignments: ReaderOptions['startAt'][] = [];
    const log: EventLog = {
      ...groupOf(testLog.log, []).log,
      openReader: async (options) => {
        assignments.push(options.startAt);
        return await testLog.log.openReader(options);
      },
    };
    let isPassed = false;
    const passedWhileItWaits: Clock = {
      ...hurriedClock,
      sleep: async (durationMs, signal) => {
        if (consumer.problem() !== undefined && !isPassed) {
          isPassed = true;
          const other = start(testLog.log);
          await other.caughtUp();
          await other.stop();
          await assignments[0]?.([lost]);
        }
        await hurriedClock.sleep(durationMs, signal);
      },
    };
    consumer = start(log, failsAtLost, passedWhileItWaits);
    await append(lost, 1n);
    await until(() => isPassed);
    await consumer.caughtUp();
    assert.deepEqual(await appliedOf(db, lost), [1n]);
    assert.equal(consumer.problem(), undefined);
  });
});
