import assert from 'node:assert/strict';
import type { Kysely } from 'kysely';
import { pino } from 'pino';
import { SharedConnectionAdapter } from '../database/pglite.ts';
import type { EventId } from '../ids/ids.ts';
import { systemClock } from '../lifecycle/clock.ts';
import { openTestDatabase } from '../testing/test-database.ts';
import { openTestEventLog, type TestEventLog } from '../testing/test-event-log.ts';
import { until } from '../testing/until.ts';
import { enqueue, pendingStats } from './enqueue.ts';
import { recordErased } from './erased-ranges.ts';
import type { OutboxRow } from './port.ts';
import { createRelay } from './relay.ts';
import { sequenceServiceHandlers } from './sequence-service.ts';
import { createOutboxTables } from './tables.ts';

const topic = 'things.v1';
const nowMs = 1_800_000_000_000;
const clock = { ...systemClock, nowMs: () => nowMs };
const call = {
  caller: { kind: 'service', service: 'analytics' },
  signal: new AbortController().signal,
} as const;

function recordAt(place: number, recordedAtMs: number): OutboxRow {
  const eventId = `00000000-0000-7000-8000-${String(place).padStart(12, '0')}` as EventId;
  return { kind: 'record', partition: place % 2, eventId, value: Buffer.alloc(9), recordedAtMs };
}

describe('what the owner of a topic answers its consumers', function () {
  this.timeout(60_000);
  let db: Kysely<unknown>;
  let testLog: TestEventLog;
  beforeEach(async () => {
    db = await openTestDatabase('heads');
    await createOutboxTables(db);
    testLog = openTestEventLog(new Map([[topic, 2]]));
  });
  afterEach(() => testLog.close());

  const handlers = () => sequenceServiceHandlers(db, topic, clock);
  /** Where several processes append, their clocks may lie apart. */
  const completeAt = (): Date =>
    new Date(db.getExecutor().adapter instanceof SharedConnectionAdapter ? nowMs : nowMs - 2_000);
  const put = (rows: readonly OutboxRow[], other = topic): Promise<void> =>
    db.transaction().execute((tx) => enqueue(tx, other, rows));
  const relayAll = async (): Promise<void> => {
    const logger = pino({ level: 'silent' });
    const settings = { pollMs: 5 };
    const relay = createRelay({
      db,
      eventLog: testLog.log,
      topic,
      clock: systemClock,
      logger,
      settings,
    });
    await relay.start();
    await until(async () => (await pendingStats(db, topic, 1)).rows === 0);
    await relay.stop();
  };

  it('heads: nothing yet, complete up to now', async () => {
    assert.deepEqual(await handlers().heads({ topic }, call), { heads: [], asOf: completeAt() });
  });

  it('heads: complete up to the oldest record that waits for its sequence', async () => {
    await put([recordAt(0, nowMs - 900), recordAt(1, nowMs - 800), recordAt(2, nowMs - 700)]);
    await relayAll();
    const numbered = [
      { partition: 0, sequence: 2n },
      { partition: 1, sequence: 1n },
    ];
    assert.deepEqual(await handlers().heads({ topic }, call), {
      heads: numbered,
      asOf: completeAt(),
    });
    await put([
      recordAt(4, nowMs - 5_300),
      recordAt(5, nowMs - 5_400),
      { kind: 'tick', partition: 0 },
    ]);
    await put([recordAt(6, nowMs - 9_000)], 'others.v1');
    assert.deepEqual(await handlers().heads({ topic }, call), {
      heads: numbered,
      asOf: new Date(nowMs - 5_400),
    });
  });

  it('missing: what was erased within the range', async () => {
    await db.transaction().execute((tx) => recordErased(tx, topic, 1, [3n, 4n, 9n]));
    const request = { topic, partition: 1, fromSequence: 4n, toSequence: 20n };
    assert.deepEqual(await handlers().missing(request, call), {
      erased: [
        { fromSequence: 4n, toSequence: 4n },
        { fromSequence: 9n, toSequence: 9n },
      ],
    });
    assert.deepEqual(await handlers().missing({ ...request, partition: 0 }, call), { erased: [] });
  });

  it('refuses to answer for another topic', async () => {
    const asked = { partition: 0, fromSequence: 1n, toSequence: 1n, topic: 'others.v1' };
    await assert.rejects(handlers().missing(asked, call), { reason: 'INVALID_FIELDS' });
    await assert.rejects(handlers().heads({ topic: 'others.v1' }, call), {
      reason: 'INVALID_FIELDS',
    });
  });

  it('counts what waits, up to a bound', async () => {
    const nothing = { rows: 0, bytes: 0, oldestRecordedAtMs: undefined };
    assert.deepEqual(await pendingStats(db, topic, 10), nothing);
    await put([recordAt(0, 30), recordAt(1, 20), { kind: 'tick', partition: 0 }]);
    await put([recordAt(2, 10)], 'others.v1');
    const { bytes, ...counted } = await pendingStats(db, topic, 10);
    assert.deepEqual(counted, { rows: 3, oldestRecordedAtMs: 20 });
    assert.equal(bytes, 2 * 9);
    assert.equal((await pendingStats(db, topic, 2)).rows, 2);
  });
});
