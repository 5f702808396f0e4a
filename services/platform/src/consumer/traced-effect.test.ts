import assert from 'node:assert/strict';
import { type Kysely, sql } from 'kysely';
import { pino } from 'pino';
import { createFenceTable } from '../event-store/fences.ts';
import { type Clock, systemClock } from '../lifecycle/clock.ts';
import { createOutboxTables } from '../outbox/tables.ts';
import type { ParkingOptions } from '../parking/park.ts';
import { createParkingTables } from '../parking/tables.ts';
import { encodeTraceContext } from '../telemetry/trace-context.ts';
import {
  type AppliedBatch,
  type AppliedSchema,
  appliedOf,
  clearApplied,
  createAppliedTables,
  type EffectStep,
  storeApplied,
} from '../testing/applied-records.ts';
import { createInMemorySpans, type InMemorySpans } from '../testing/in-memory-spans.ts';
import { emptyRecord, openTestLog, recordWrite, type TestLog } from '../testing/log-records.ts';
import { openTestDatabase } from '../testing/test-database.ts';
import { peersWithOwner } from '../testing/topic-owner.ts';
import { type Consumer, type ConsumerOptions, createConsumer } from './consumer.ts';

const zero = { topic: 'tickets.v1', partition: 0 } as const;
const appended = { traceId: 'a'.repeat(32), spanId: 'a'.repeat(16) };
const hurriedClock: Clock = {
  ...systemClock,
  sleep: (durationMs, signal) => systemClock.sleep(Math.min(durationMs, 1), signal),
};

describe('the trace of a consumer', function () {
  this.timeout(60_000);
  let db: Kysely<AppliedSchema>;
  let ownerDb: Kysely<unknown>;
  let testLog: TestLog;
  let spans: InMemorySpans;
  let consumers: Consumer[];

  before(async () => {
    db = await openTestDatabase<AppliedSchema>('traced-effect');
    await createAppliedTables(db);
    await createParkingTables(db);
    await createFenceTable(db);
    ownerDb = await openTestDatabase('traced-effect-owner');
    await createOutboxTables(ownerDb);
  });
  beforeEach(async () => {
    await clearApplied(db);
    await sql`truncate parked_streams, parked_records, fences`.execute(db);
    testLog = openTestLog();
    spans = createInMemorySpans();
    consumers = [];
  });
  afterEach(async () => {
    for (const consumer of consumers) await consumer.stop();
    await testLog.destroy();
  });

  /** A consumer that makes a call to prepare each batch. */
  const create = (
    options: Partial<ConsumerOptions<AppliedSchema, AppliedBatch>> = {},
    at: (step: EffectStep) => void | Promise<void> = () => undefined,
  ): Consumer => {
    const { telemetry } = spans;
    const effect = storeApplied(async (step) => {
      if (step !== 'prepare') return await at(step);
      await telemetry.inSpan({ name: 'rpc client', kind: 'client' }, async () => await at(step));
    });
    const consumer = createConsumer({
      name: 'predictions',
      db,
      eventLog: testLog.log,
      topics: ['tickets.v1'],
      peers: peersWithOwner(ownerDb),
      effect,
      clock: hurriedClock,
      logger: pino({ level: 'silent' }),
      waitMs: 20,
      telemetry,
      ...options,
    });
    consumers.push(consumer);
    consumer.start();
    return consumer;
  };
  const append = async (first: number, last: number): Promise<void> => {
    const writer = await testLog.log.openWriter(zero);
    const traceContext = encodeTraceContext(appended);
    const writes = Array.from({ length: last - first + 1 }, (_, at) => {
      const record = emptyRecord(`traced#${first + at}`);
      assert.ok(record.header);
      const header = { ...record.header, type: 'TicketOpened', streamToken: Buffer.alloc(16, 1) };
      return recordWrite({ ...record, header, traceContext });
    });
    await writer.append(BigInt(first), writes);
    await writer.close();
  };
  const consumeSpans = () => spans.ended().filter(({ name }) => name === 'consume');
  const assertNoGap = () => {
    const known = new Set(spans.ended().map((span) => span.spanContext().spanId));
    known.add(appended.spanId);
    for (const { name, parentSpanContext } of spans.ended()) {
      assert.ok(known.has(parentSpanContext?.spanId ?? ''), `${name} has a parent that nobody has`);
    }
  };

  it('is that of the append, with what a batch needs below it', async () => {
    await append(1, 3);
    await create().caughtUp();
    assertNoGap();
    const [call, batch] = spans.ended();
    assert.equal(batch?.parentSpanContext?.spanId, appended.spanId);
    assert.equal(call?.parentSpanContext?.spanId, batch?.spanContext().spanId);
    assert.equal(spans.ended().length, 2);
    const { attributes } = batch ?? {};
    const named = (prefix: string) =>
      Object.entries(attributes ?? {}).filter(([name]) => name.startsWith(prefix));
    assert.deepEqual(Object.fromEntries(named('messaging.')), {
      'messaging.system': 'sqlite',
      'messaging.operation.name': 'process',
      'messaging.operation.type': 'process',
      'messaging.destination.name': 'tickets.v1',
      'messaging.destination.partition.id': '0',
      'messaging.batch.message_count': 3,
    });
  });

  it('has no gap where another owner was faster', async () => {
    await append(1, 3);
    const prepared = Promise.withResolvers<void>();
    const released = Promise.withResolvers<void>();
    const slow = create({}, async (step) => {
      if (step !== 'prepare') return;
      prepared.resolve();
      await released.promise;
    });
    await prepared.promise;
    await create().caughtUp();
    released.resolve();
    await slow.caughtUp();
    assertNoGap();
    assert.deepEqual(
      consumeSpans().map(({ attributes }) => attributes['error.type']),
      [undefined, 'CHECKPOINT_MOVED'],
    );
  });

  it('has no gap, nor an error, where what is parked is found out while a batch is applied', async () => {
    const parking: ParkingOptions = { service: 'predictions', streamKindOf: () => 'ticket' };
    await append(1, 1);
    const broken = create({ parking }, (step) => {
      if (step === 'before-write') throw new RangeError('an enum of a later version');
    });
    await broken.caughtUp();
    await broken.stop();
    spans = createInMemorySpans();
    // This one has not parked anything itself, and takes the next of the stream for one that it can apply.
    await append(2, 2);
    await create({ parking }).caughtUp();
    assertNoGap();
    assert.deepEqual(
      consumeSpans().map(({ status }) => status.code),
      [0],
    );
    assert.deepEqual(await appliedOf(db, zero), []);
  });
});
