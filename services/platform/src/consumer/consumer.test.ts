import assert from 'node:assert/strict';
import { Writable } from 'node:stream';
import { type Kysely, sql } from 'kysely';
import type { TopicName } from '@lethe/proto/topics.ts';
import { ServiceError } from '../errors/service-error.ts';
import type { EventLog, LogEntry, LogWrite, TopicPartition } from '../event-log/port.ts';
import type { Peers } from '../grpc/handler.ts';
import { type Clock, systemClock } from '../lifecycle/clock.ts';
import { createLogger, type Logger } from '../log/logger.ts';
import { recordErased } from '../outbox/erased-ranges.ts';
import { createOutboxTables } from '../outbox/tables.ts';
import {
  type AppliedBatch,
  type AppliedSchema,
  appliedOf,
  clearApplied,
  createAppliedTables,
  type EffectStep,
  storeApplied,
} from '../testing/applied-records.ts';
import {
  emptyRecord,
  eventIdNamed,
  openTestLog,
  recordWrite,
  type TestLog,
} from '../testing/log-records.ts';
import { openTestDatabase } from '../testing/test-database.ts';
import { peersWithOwner } from '../testing/topic-owner.ts';
import { wrapLog } from '../testing/wrapped-log.ts';
import { type Consumer, type ConsumerOptions, createConsumer } from './consumer.ts';
import { compareAndSetCheckpoints, readCheckpoints } from './checkpoints.ts';

const zero: TopicPartition = { topic: 'tickets.v1', partition: 0 };
const one: TopicPartition = { topic: 'tickets.v1', partition: 1 };
const privacy: TopicPartition = { topic: 'privacy.v1', partition: 0 };

type At = (step: EffectStep, batch: AppliedBatch) => void | Promise<void>;

/** The sequences from `first` to `last`. */
function upTo(last: bigint, first = 1n): bigint[] {
  return Array.from({ length: Number(last - first) + 1 }, (_, index) => first + BigInt(index));
}

const nameOf = ({ topic, partition }: TopicPartition, sequence: bigint): string =>
  `${topic}/${partition}#${sequence}`;

describe('consumer', function () {
  this.timeout(60_000);
  let db: Kysely<AppliedSchema>;
  let ownerDb: Kysely<unknown>;
  let testLog: TestLog;
  let log: EventLog;
  let lines: Record<string, unknown>[];
  let delays: number[];
  let asked: { from: bigint; to: bigint }[];
  let consumers: Consumer[];
  let askOwner: () => void;

  before(async () => {
    db = await openTestDatabase<AppliedSchema>('consumer');
    await createAppliedTables(db);
    ownerDb = await openTestDatabase('consumer-owner');
    await createOutboxTables(ownerDb);
  });
  beforeEach(async () => {
    await clearApplied(db);
    await sql`truncate erased_ranges, partition_counters`.execute(ownerDb);
    testLog = openTestLog();
    log = testLog.log;
    lines = [];
    delays = [];
    asked = [];
    consumers = [];
    askOwner = () => {};
  });
  afterEach(async () => {
    for (const consumer of consumers) await consumer.stop();
    await testLog.destroy();
  });

  const logger = (): Logger => {
    const destination = new Writable({
      write: (chunk: Buffer, _encoding, done) => {
        for (const line of chunk.toString().trim().split('\n')) lines.push(JSON.parse(line));
        done();
      },
    });
    return createLogger({ service: 'tickets', level: 'debug', destination });
  };
  const hurriedClock: Clock = {
    ...systemClock,
    sleep: async (durationMs, signal) => {
      delays.push(durationMs);
      await systemClock.sleep(1, signal);
    },
  };
  const peers = (): Peers =>
    peersWithOwner(ownerDb, (request) => {
      asked.push({ from: request.fromSequence, to: request.toSequence });
      askOwner();
    });
  const topics: readonly TopicName[] = ['tickets.v1', 'privacy.v1'];
  const create = (
    at: At = () => {},
    options: Partial<ConsumerOptions<AppliedSchema, AppliedBatch>> = {},
  ): Consumer => {
    const consumer = createConsumer({
      name: 'predictions',
      db,
      eventLog: log,
      topics,
      peers: peers(),
      effect: storeApplied(at),
      clock: hurriedClock,
      logger: logger(),
      random: () => 0.5,
      waitMs: 20,
      ...options,
    });
    consumers.push(consumer);
    consumer.start();
    return consumer;
  };
  const append = async (
    partition: TopicPartition,
    first: bigint,
    last: bigint,
    after: readonly LogWrite[] = [],
  ): Promise<void> => {
    const writer = await log.openWriter(partition);
    const records = upTo(last, first).map((sequence) =>
      recordWrite(emptyRecord(nameOf(partition, sequence))),
    );
    await writer.append(first, [...records, ...after]);
    await writer.close();
  };
  const tombstoneOf = (partition: TopicPartition, sequence: bigint): LogWrite => ({
    kind: 'tombstone',
    eventId: eventIdNamed(nameOf(partition, sequence)),
  });
  const erase = async (partition: TopicPartition, sequences: readonly bigint[]): Promise<void> => {
    await ownerDb
      .transaction()
      .execute((tx) => recordErased(tx, partition.topic, partition.partition, sequences));
    const writer = await log.openWriter(partition);
    await writer.append(
      0n,
      sequences.map((sequence) => tombstoneOf(partition, sequence)),
    );
  };
  const tick = async (partition: TopicPartition, lastSequence: bigint): Promise<void> => {
    const writer = await log.openWriter(partition);
    await writer.append(0n, [{ kind: 'tick', lastSequence }]);
    await writer.close();
  };
  const checkpointOf = async (partition: TopicPartition) =>
    (await readCheckpoints(db, [partition]))[0];
  /** Leaves checkpoints of the log that there was, and an empty one. */
  const applyAllAndReplaceLog = async (): Promise<void> => {
    const consumer = create();
    await consumer.caughtUp();
    await consumer.stop();
    await testLog.destroy();
    testLog = openTestLog();
    log = testLog.log;
  };
  const stoppedLines = () => lines.filter((line) => line['msg'] === 'partition stopped');

  describe('applies', () => {
    it('every record of every partition once, in order, and says when it has caught up', async () => {
      for (const partition of [zero, one, privacy]) await append(partition, 1n, 30n);
      const consumer = create(undefined, { recordsMax: 7 });
      await consumer.caughtUp();
      await append(one, 31n, 40n);
      await consumer.caughtUp();
      assert.deepEqual(await appliedOf(db, zero), upTo(30n));
      assert.deepEqual(await appliedOf(db, one), upTo(40n));
      assert.deepEqual(await appliedOf(db, privacy), upTo(30n));
      assert.deepEqual(await checkpointOf(one), { sequence: 40n, nextOffset: 40n });
      assert.equal(consumer.problem(), undefined);
    });

    it('nothing twice after a restart', async () => {
      await append(zero, 1n, 10n);
      const first = create();
      await first.caughtUp();
      await first.stop();
      await append(zero, 11n, 20n);
      await create().caughtUp();
      assert.deepEqual(await appliedOf(db, zero), upTo(20n));
    });

    it('no tombstone record and no tick, and remembers to be behind them', async () => {
      await append(zero, 1n, 2n, [
        { kind: 'tombstone', eventId: eventIdNamed('of another partition') },
        { kind: 'tick', lastSequence: 2n },
      ]);
      await create().caughtUp();
      await append(one, 1n, 1n);
      const writer = await log.openWriter(one);
      await writer.append(0n, [{ kind: 'tick', lastSequence: 1n }]);
      await create().caughtUp();
      assert.deepEqual(await appliedOf(db, zero), [1n, 2n]);
      assert.deepEqual(await checkpointOf(zero), { sequence: 2n, nextOffset: 4n });
      assert.deepEqual(await checkpointOf(one), { sequence: 1n, nextOffset: 2n });
    });

    it('in the order prepare, transaction, committed; prepare may use the database', async () => {
      await append(zero, 1n, 3n);
      const steps: string[] = [];
      const counted = async (): Promise<number> => {
        const { rows } = await sql<{
          count: bigint;
        }>`select count(*) as count from applied`.execute(db);
        return Number(rows[0]?.count);
      };
      const consumer = create(async (step) => {
        steps.push(step === 'prepare' ? `prepare at ${await counted()}` : step);
      });
      await consumer.caughtUp();
      assert.deepEqual(steps, ['prepare at 0', 'before-write', 'after-write', 'committed']);
    });

    it('one partition while another is held up', async () => {
      await append(zero, 1n, 3n);
      await append(one, 1n, 3n);
      const released = Promise.withResolvers<void>();
      const otherDone = Promise.withResolvers<void>();
      const consumer = create(async (step, { from }) => {
        if (step === 'prepare' && from.partition === 0 && from.topic === zero.topic) {
          await released.promise;
        }
        if (step === 'committed' && from.partition === 1) otherDone.resolve();
      });
      await otherDone.promise;
      assert.deepEqual(await appliedOf(db, zero), []);
      await append(one, 4n, 6n);
      released.resolve();
      await consumer.caughtUp();
      assert.deepEqual(await appliedOf(db, one), upTo(6n));
      assert.deepEqual(await appliedOf(db, zero), upTo(3n));
    });
  });

  describe('two owners of a partition', () => {
    it('apply each record once between them', async () => {
      await append(zero, 1n, 60n);
      const both = [create(undefined, { recordsMax: 4 }), create(undefined, { recordsMax: 7 })];
      await Promise.all(both.map((consumer) => consumer.caughtUp()));
      assert.deepEqual(await appliedOf(db, zero), upTo(60n));
      assert.deepEqual(
        both.map((consumer) => consumer.problem()),
        [undefined, undefined],
      );
    });

    it('the slower one reads its checkpoint again and goes on behind the faster', async () => {
      await append(zero, 1n, 5n);
      const prepared = Promise.withResolvers<void>();
      const released = Promise.withResolvers<void>();
      const firsts: bigint[] = [];
      const slow = create(async (step, { records }) => {
        if (step !== 'prepare') return;
        firsts.push(records[0]?.sequence ?? 0n);
        prepared.resolve();
        await released.promise;
      });
      await prepared.promise;
      await create().caughtUp();
      released.resolve();
      await slow.caughtUp();
      await append(zero, 6n, 8n);
      await slow.caughtUp();
      assert.deepEqual(await appliedOf(db, zero), upTo(8n));
      assert.ok(firsts.every((first) => first === 1n || first > 5n));
      assert.ok(lines.some((line) => line['reason'] === 'CHECKPOINT_MOVED'));
    });
  });

  describe('one that is slower again and again', () => {
    it('has no problem', async () => {
      await append(zero, 1n, 9n);
      const problems: (string | undefined)[] = [];
      const clock: Clock = {
        ...hurriedClock,
        sleep: async (durationMs, signal) => {
          problems.push(consumer.problem());
          await hurriedClock.sleep(durationMs, signal);
        },
      };
      let attempts = 0;
      const at: At = async (step) => {
        if (step !== 'prepare') return;
        attempts += 1;
        const from = await checkpointOf(zero);
        assert.ok(from !== undefined);
        if (from.sequence > 7n) return;
        // Another owner applies one record just before us.
        const to = { sequence: from.sequence + 1n, nextOffset: from.nextOffset + 1n };
        await db.transaction().execute(async (tx) => {
          await compareAndSetCheckpoints(tx, [{ ...zero, from, to }]);
          await sql`insert into applied (topic, partition, sequence, event_id)
            values (${zero.topic}, ${zero.partition}, ${to.sequence}, '')`.execute(tx);
        });
      };
      const consumer = create(at, { clock });
      await consumer.caughtUp();
      assert.deepEqual(await appliedOf(db, zero), upTo(9n));
      assert.equal(attempts, 9);
      assert.ok(problems.every((problem) => problem === undefined));
    });
  });

  describe('meets a gap', () => {
    it('goes over sequences that the owner lists as erased, asking once for a batch', async () => {
      await append(zero, 1n, 20n);
      await erase(zero, [3n, 4n, 9n, 15n, 16n, 17n]);
      const consumer = create();
      await consumer.caughtUp();
      const left = upTo(20n).filter((each) => ![3n, 4n, 9n, 15n, 16n, 17n].includes(each));
      assert.deepEqual(await appliedOf(db, zero), left);
      assert.deepEqual(asked, [{ from: 3n, to: 19n }]);
      assert.deepEqual(await checkpointOf(zero), { sequence: 20n, nextOffset: 26n });
      assert.equal(consumer.problem(), undefined);
    });

    it('at the beginning and, once there is more, at the end of the partition', async () => {
      await append(zero, 1n, 4n);
      await erase(zero, [1n, 4n]);
      const consumer = create();
      await consumer.caughtUp();
      assert.deepEqual(await appliedOf(db, zero), [2n, 3n]);
      await append(zero, 5n, 5n);
      await consumer.caughtUp();
      assert.deepEqual(await appliedOf(db, zero), [2n, 3n, 5n]);
    });

    it('at the end of the partition where a tick tells of it, also when all of it is erased', async () => {
      await append(zero, 1n, 4n);
      await erase(zero, [3n, 4n]);
      await tick(zero, 4n);
      await append(one, 1n, 2n);
      await erase(one, [1n, 2n]);
      await tick(one, 2n);
      const consumer = create();
      await consumer.caughtUp();
      assert.deepEqual(await appliedOf(db, zero), [1n, 2n]);
      assert.deepEqual(await appliedOf(db, one), []);
      assert.deepEqual(await checkpointOf(zero), { sequence: 4n, nextOffset: 7n });
      assert.deepEqual(await checkpointOf(one), { sequence: 2n, nextOffset: 5n });
      assert.equal(consumer.problem(), undefined);
      await append(zero, 5n, 5n);
      await consumer.caughtUp();
      assert.deepEqual(await appliedOf(db, zero), [1n, 2n, 5n]);
    });

    it('stops at a tick that tells of sequences that nobody lists', async () => {
      await append(zero, 1n, 2n);
      await tick(zero, 4n);
      const consumer = create();
      await assert.rejects(consumer.caughtUp(), { message: /SEQUENCE_GAP at 3\.\.4$/ });
      assert.deepEqual(await appliedOf(db, zero), [1n, 2n]);
      assert.deepEqual(await checkpointOf(zero), { sequence: 2n, nextOffset: 2n });
    });

    it('reads again before it asks: what only the reader lost is no gap', async () => {
      await append(zero, 1n, 6n);
      let dropped = false;
      const isDropped = (entry: LogEntry): boolean =>
        entry.kind === 'record' && (entry.sequence === 2n || entry.sequence === 3n);
      const leaky = wrapLog(log, async (poll, options) => {
        const batches = await poll(options);
        if (dropped || batches.length === 0) return batches;
        dropped = true;
        return batches.map((batch) => ({
          ...batch,
          entries: batch.entries.filter((entry) => !isDropped(entry)),
        }));
      });
      await create(undefined, { eventLog: leaky }).caughtUp();
      assert.deepEqual(await appliedOf(db, zero), upTo(6n));
      assert.deepEqual(asked, []);
    });

    it('stops the partition at sequences that nobody lists, and goes on with the others', async () => {
      await append(zero, 1n, 16n);
      await append(zero, 20n, 25n);
      await append(one, 1n, 5n);
      const consumer = create();
      await assert.rejects(consumer.caughtUp(), {
        reason: 'SEQUENCE_GAP',
        message: 'partition tickets.v1/0 stopped: SEQUENCE_GAP at 17..19',
      });
      assert.equal(consumer.problem(), 'partition tickets.v1/0 stopped: SEQUENCE_GAP at 17..19');
      await append(one, 6n, 9n);
      await append(zero, 26n, 27n);
      while ((await appliedOf(db, one)).length < 9) await systemClock.sleep(5);
      assert.deepEqual(await appliedOf(db, zero), upTo(16n));
      await assert.rejects(consumer.caughtUp(), { reason: 'SEQUENCE_GAP' });
    });

    it('stops at the unlisted part of a gap that is listed in part, again after a restart', async () => {
      await append(zero, 1n, 10n);
      await erase(zero, [4n, 5n]);
      const writer = await log.openWriter(zero);
      await writer.append(0n, [tombstoneOf(zero, 6n)]);
      for (let start = 0; start < 2; start += 1) {
        const consumer = create();
        await assert.rejects(consumer.caughtUp(), { message: /SEQUENCE_GAP at 6$/ });
        await consumer.stop();
      }
      assert.deepEqual(await appliedOf(db, zero), upTo(3n));
    });

    it('waits for an owner that does not answer', async () => {
      await append(zero, 1n, 3n);
      await erase(zero, [2n]);
      let failuresLeft = 3;
      askOwner = () => {
        failuresLeft -= 1;
        if (failuresLeft >= 0) throw new ServiceError('STORE_UNAVAILABLE');
      };
      const consumer = create();
      await consumer.caughtUp();
      assert.deepEqual(await appliedOf(db, zero), [1n, 3n]);
      assert.equal(asked.length, 4);
    });
  });

  describe('meets a record that it cannot decode', () => {
    it('applies what comes before and stops there', async () => {
      const writer = await log.openWriter(zero);
      const good = recordWrite(emptyRecord('1'));
      const bad = { ...recordWrite(emptyRecord('2')), value: Buffer.from('ffffff', 'hex') };
      await writer.append(1n, [good, bad, recordWrite(emptyRecord('3'))]);
      const consumer = create();
      await assert.rejects(consumer.caughtUp(), { reason: 'RECORD_MALFORMED' });
      assert.equal(consumer.problem(), 'partition tickets.v1/0 stopped: RECORD_MALFORMED at 2');
      assert.deepEqual(await appliedOf(db, zero), [1n]);
    });
  });

  describe('meets a failure', () => {
    const failing = (step: EffectStep, times: number, error: () => Error): At => {
      let left = times;
      return (reached) => {
        if (reached !== step || left === 0) return;
        left -= 1;
        throw error();
      };
    };
    const lostConnection = (): Error =>
      Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' });

    for (const step of ['prepare', 'before-write', 'after-write'] as const) {
      it(`retries what may succeed later, at ${step}`, async () => {
        await append(zero, 1n, 5n);
        await create(failing(step, 3, () => new ServiceError('KEYS_UNAVAILABLE'))).caughtUp();
        await create(failing(step, 2, lostConnection)).caughtUp();
        assert.deepEqual(await appliedOf(db, zero), upTo(5n));
      });
    }

    it('waits longer each time, up to a bound and with jitter, and reports it after the fifth', async () => {
      await append(zero, 1n, 5n);
      const problems: (string | undefined)[] = [];
      const attempts = 9;
      const fail = failing('prepare', attempts, () => new ServiceError('KEYS_UNAVAILABLE'));
      const consumer = create((step, batch) => {
        if (step === 'prepare') problems.push(consumer.problem());
        return fail(step, batch);
      });
      await consumer.caughtUp();
      const waits = lines.filter((line) => line['msg'] === 'partition waits');
      assert.deepEqual(
        waits.map((line) => line['delayMs']),
        [150, 300, 600, 1_200, 2_400, 4_800, 9_600, 11_250, 11_250],
      );
      assert.ok(waits.every((line) => delays.includes(Number(line['delayMs']))));
      assert.deepEqual(problems.slice(0, 5), [
        undefined,
        undefined,
        undefined,
        undefined,
        undefined,
      ]);
      assert.equal(problems[5], 'partition tickets.v1/0 waits: KEYS_UNAVAILABLE, attempt 5');
      assert.equal(consumer.problem(), undefined);
    });

    it('waits for a KMS that an operator has to mend, shows it, and goes on without a restart', async () => {
      await append(zero, 1n, 5n);
      let isMended = false;
      const consumer = create((step) => {
        if (step === 'prepare' && !isMended) throw new ServiceError('KMS_MISCONFIGURED');
      });
      while (consumer.problem() === undefined) await systemClock.sleep(5);
      assert.match(
        consumer.problem() ?? '',
        /^partition tickets\.v1\/0 waits: KMS_MISCONFIGURED, attempt \d+$/,
      );
      assert.deepEqual(stoppedLines(), []);
      isMended = true;
      await consumer.caughtUp();
      assert.deepEqual(await appliedOf(db, zero), upTo(5n));
      assert.equal(consumer.problem(), undefined);
    });

    it('waits as long as the error says', async () => {
      await append(zero, 1n, 1n);
      const slowDown = (): Error =>
        new ServiceError('KEYS_CATCHING_UP', undefined, { retryDelayMs: 7_777 });
      await create(failing('prepare', 1, slowDown)).caughtUp();
      assert.ok(delays.includes(7_777));
    });

    it('applies nothing twice when the connection is lost while the commit is answered', async () => {
      await append(zero, 1n, 5n);
      let lost = false;
      const store = storeApplied();
      const effect: typeof store = {
        ...store,
        apply: async (tx, batch) => {
          await store.apply(tx, batch);
          if (lost) return;
          lost = true;
          await sql`commit`.execute(tx);
          throw lostConnection();
        },
      };
      await create(undefined, { effect }).caughtUp();
      assert.ok(lost);
      assert.deepEqual(await appliedOf(db, zero), upTo(5n));
    });

    it('stops the partition at anything else and logs no word of the error', async () => {
      await append(zero, 1n, 5n);
      await append(one, 1n, 5n);
      const consumer = create((step, { from }) => {
        if (step === 'after-write' && from.topic === zero.topic && from.partition === 0) {
          throw new Error('could not store maria@example.com');
        }
      });
      await assert.rejects(consumer.caughtUp(), { reason: 'INTERNAL_DEFECT' });
      assert.equal(consumer.problem(), 'partition tickets.v1/0 stopped: INTERNAL_DEFECT at 1..5');
      while ((await appliedOf(db, one)).length < 5) await systemClock.sleep(5);
      assert.deepEqual(await appliedOf(db, zero), []);
      const { level, time: _time, problem, ...line } = stoppedLines()[0] ?? {};
      assert.equal(level, 'error');
      assert.match(String(problem), /^Error at .*consumer\.test\.ts/);
      assert.deepEqual(line, {
        service: 'tickets',
        component: 'predictions',
        topic: 'tickets.v1',
        partition: 0,
        sequence: '1..5',
        reason: 'INTERNAL_DEFECT',
        msg: 'partition stopped',
      });
      assert.ok(!JSON.stringify(lines).includes('maria'));
    });

    it('opens another reader when one fails with batches in its hands, and stopped partitions stay so', async () => {
      await append(zero, 1n, 5n);
      await append(one, 1n, 5n);
      let polls = 0;
      const breaking = wrapLog(log, async (poll, options) => {
        polls += 1;
        const batches = await poll(options);
        if (polls === 1 || polls === 4) throw new ServiceError('STORE_UNAVAILABLE');
        return batches;
      });
      const consumer = create(
        (step, { from }) => {
          if (step === 'prepare' && from.partition === 1) throw new Error('poison');
        },
        { eventLog: breaking },
      );
      while (polls < 6) await systemClock.sleep(1);
      await append(one, 6n, 6n);
      await append(zero, 6n, 6n);
      while ((await appliedOf(db, zero)).length < 6) await systemClock.sleep(1);
      assert.deepEqual(await appliedOf(db, zero), upTo(6n));
      assert.deepEqual(await appliedOf(db, one), []);
      assert.equal(stoppedLines().length, 1);
      await assert.rejects(consumer.caughtUp(), { reason: 'INTERNAL_DEFECT' });
    });

    it('stops a partition whose log ends before its checkpoint, for good: what comes again there is no duplicate', async () => {
      await append(zero, 1n, 5n);
      await append(one, 1n, 2n);
      // An older copy of the log, whose owner went back with it and gives sequences a second time.
      await applyAllAndReplaceLog();
      await append(zero, 1n, 4n);
      await append(one, 1n, 3n);
      let polls = 0;
      const breaking = wrapLog(log, async (poll, options) => {
        polls += 1;
        if (polls === 5) throw new ServiceError('STORE_UNAVAILABLE');
        return await poll(options);
      });
      const consumer = create(undefined, { eventLog: breaking });
      await assert.rejects(consumer.caughtUp(), { reason: 'LOG_BEHIND_CHECKPOINT' });
      assert.equal(consumer.problem(), 'partition tickets.v1/0 stopped: LOG_BEHIND_CHECKPOINT');
      const [said, ...more] = stoppedLines();
      assert.equal(said?.['problem'], 'ends at 4, read up to 5');
      assert.deepEqual(more, []);
      // Past the checkpoint it would look like any log, also to the next reader.
      await append(zero, 5n, 8n);
      while (polls < 8) await systemClock.sleep(1);
      await assert.rejects(consumer.caughtUp(), { reason: 'LOG_BEHIND_CHECKPOINT' });
      assert.deepEqual(await appliedOf(db, zero), upTo(5n));
      assert.deepEqual(await appliedOf(db, one), upTo(3n));
    });

    it('reads a copy with other offsets from its start once told to, and skips by sequence what it has', async () => {
      await append(zero, 1n, 5n);
      await applyAllAndReplaceLog();
      await tick(zero, 0n);
      await append(zero, 1n, 7n);
      await sql`update checkpoints set next_offset = 0`.execute(db);
      await create().caughtUp();
      assert.deepEqual(await appliedOf(db, zero), upTo(7n));
      assert.deepEqual(await checkpointOf(zero), { sequence: 7n, nextOffset: 8n });
    });

    it('stops as a whole when reading fails for good', async () => {
      const damaged = wrapLog(log, async () => {
        throw new TypeError('column offset holds no integer');
      });
      const consumer = create(undefined, { eventLog: damaged });
      await append(zero, 1n, 1n);
      await assert.rejects(consumer.caughtUp(), { reason: 'INTERNAL_DEFECT' });
      assert.equal(consumer.problem(), 'consumer predictions stopped: INTERNAL_DEFECT');
    });
  });

  describe('when it is stopped', () => {
    it('finishes the batch in flight and rejects who still waits', async () => {
      await append(zero, 1n, 5n);
      const prepared = Promise.withResolvers<void>();
      const released = Promise.withResolvers<void>();
      const consumer = create(async (step) => {
        if (step !== 'prepare') return;
        prepared.resolve();
        await released.promise;
      });
      await prepared.promise;
      await append(zero, 6n, 9n);
      const waiting = assert.rejects(consumer.caughtUp(), { reason: 'SHUTTING_DOWN' });
      let hasStopped = false;
      const stopped = consumer.stop().then(() => {
        hasStopped = true;
      });
      assert.deepEqual(await appliedOf(db, zero), []);
      assert.ok(!hasStopped);
      released.resolve();
      await stopped;
      await waiting;
      await consumer.stop();
      assert.deepEqual(await appliedOf(db, zero), upTo(5n));
    });

    it('does not sleep out a retry, nor says that it caught up', async () => {
      await append(zero, 1n, 5n);
      const sleeping = Promise.withResolvers<void>();
      const clock: Clock = {
        ...systemClock,
        sleep: async (durationMs, signal) => {
          if (durationMs > 100) sleeping.resolve();
          await systemClock.sleep(durationMs > 100 ? 3_600_000 : durationMs, signal);
        },
      };
      const fail: At = () => {
        throw new ServiceError('KEYS_UNAVAILABLE');
      };
      const consumer = create(fail, { clock });
      const waiting = assert.rejects(consumer.caughtUp(), { reason: 'SHUTTING_DOWN' });
      await sleeping.promise;
      await consumer.stop();
      await waiting;
      assert.deepEqual(await appliedOf(db, zero), []);
    });
  });
});
