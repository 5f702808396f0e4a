import assert from 'node:assert/strict';
import type { Kysely } from 'kysely';
import { pino } from 'pino';
import { ServiceError } from '../errors/service-error.ts';
import type { EventLog, LogReader, TopicPartition } from '../event-log/port.ts';
import { createInProcessNetwork } from '../grpc/in-process.ts';
import { systemClock } from '../lifecycle/clock.ts';
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

  it('goes on with what it has after its reader broke and another member took a partition', async () => {
    const group = groupOf(testLog.log, [[mine, lost], [mine]]);
    consumer = createConsumer({
      name: 'predictions',
      db,
      eventLog: group.log,
      topics: ['tickets.v1'],
      peers: createInProcessNetwork().peersFor('predictions'),
      effect: storeApplied(() => {}),
      clock: { ...systemClock, sleep: (_ms, signal) => systemClock.sleep(1, signal) },
      logger: pino({ level: 'silent' }),
      waitMs: 5,
    });
    consumer.start();
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
});
