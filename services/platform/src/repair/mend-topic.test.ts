import assert from 'node:assert/strict';
import { type Kysely, sql } from 'kysely';
import { withLockSession } from '../database/lock-session.ts';
import { ServiceError } from '../errors/service-error.ts';
import type { LoggedRecord } from '../event-store/apply-parts.ts';
import { eventIdNamed } from '../event-log/contract-support.ts';
import { createEventStoreTables } from '../event-store/tables.ts';
import { createOutboxTables } from '../outbox/tables.ts';
import { openTestDatabase } from '../testing/test-database.ts';
import { openTestEventLog, type TestEventLog } from '../testing/test-event-log.ts';
import { repairTopic, type TopicRepair, waitAgain } from './mend-topic.ts';

const topic = 'tickets.v1';

describe('repair of a topic on a server', () => {
  let db: Kysely<unknown>;
  let testLog: TestEventLog;
  let applied: LoggedRecord[];
  let failing: ReadonlySet<bigint>;

  before(async function () {
    this.timeout(120_000);
    db = await openTestDatabase('repair_mend_topic');
    await createEventStoreTables(db);
    await createOutboxTables(db);
  });
  beforeEach(async () => {
    applied = [];
    failing = new Set();
    for (const table of ['outbox', 'partition_counters', 'erased_ranges']) {
      await sql`delete from ${sql.table(table)}`.execute(db);
    }
    testLog = openTestEventLog(new Map([[topic, 2]]));
    const writer = await testLog.log.openWriter({ topic, partition: 1 });
    const records = ['a', 'b', 'c', 'd', 'e'].map((name) => ({
      kind: 'record' as const,
      eventId: eventIdNamed(name),
      value: Buffer.alloc(0),
      recordedAtMs: Date.now(),
    }));
    await writer.append(1n, records);
    await writer.append(6n, [{ kind: 'tombstone', eventId: eventIdNamed('d') }]);
  });
  afterEach(async () => await testLog.close());

  const repair = (): TopicRepair<unknown> => ({
    db,
    eventLog: testLog.log,
    topic,
    group: 'repair',
    isCompacted: true,
    migrate: async () => undefined,
    apply: async (page) => {
      applied.push(...page.filter(({ sequence }) => !failing.has(sequence)));
      return page.filter(({ sequence }) => failing.has(sequence));
    },
    settled: waitAgain,
  });
  const run = async (mends: boolean) =>
    await repairTopic(repair(), { mends, signal: new AbortController().signal });
  const settle = async (last: number) =>
    await sql`insert into partition_counters (topic, partition, last_sequence)
      values (${topic}, 1, ${last})`.execute(db);
  const lastGiven = async () => {
    const { rows } = await sql<{ last: bigint }>`
      select last_sequence as last from partition_counters where partition = 1`.execute(db);
    return rows[0]?.last;
  };

  it('brings what the table lacks into it, lists what was erased, and then finds nothing', async () => {
    await settle(2);
    const [looked] = await run(false);
    assert.equal(looked?.state, 'mendable');
    assert.match(looked?.what ?? '', /3 sequences on the log.*1 sequences without a record/);
    assert.equal(await lastGiven(), 2n);
    const [mended] = await run(true);
    assert.equal(mended?.state, 'mended');
    assert.deepEqual(
      applied.map(({ sequence }) => sequence),
      [3n, 5n],
    );
    assert.equal(await lastGiven(), 5n);
    const { rows } = await sql<{ first: bigint; last: bigint }>`
      select first_sequence as first, last_sequence as last from erased_ranges`.execute(db);
    assert.deepEqual(rows, [{ first: 4n, last: 4n }]);
    assert.deepEqual(await run(true), []);
  });

  it('leaves a partition stopped whose records cannot be opened, and goes on when they can', async () => {
    failing = new Set([5n]);
    const states = (await run(true)).map(({ state }) => state);
    assert.deepEqual(states, ['mended', 'lost']);
    assert.notEqual(await lastGiven(), 5n);
    failing = new Set();
    assert.deepEqual(
      (await run(true)).map(({ state }) => state),
      ['mended'],
    );
    assert.equal(await lastGiven(), 5n);
  });

  it('mends no log that lost records', async () => {
    await settle(9);
    const [found] = await run(true);
    assert.equal(found?.state, 'lost');
    assert.equal(await lastGiven(), 9n);
  });

  it('refuses while a process of the service runs', async () => {
    await withLockSession(db, async (session) => {
      assert.equal(await session.tryLock(`relay ${topic}/0`), true);
      const isRefused = (error: unknown) =>
        error instanceof ServiceError && error.reason === 'SERVICE_RUNS';
      await assert.rejects(run(true), isRefused);
    });
  });
});
