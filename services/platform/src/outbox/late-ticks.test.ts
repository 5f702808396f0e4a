import assert from 'node:assert/strict';
import { type Kysely, sql } from 'kysely';
import { type Clock, systemClock } from '../lifecycle/clock.ts';
import { createLogger } from '../log/logger.ts';
import { openTestDatabase } from '../testing/test-database.ts';
import { enqueue } from './enqueue.ts';
import { createLateTickTable, oweLateTicks, payLateTicks } from './late-ticks.ts';
import { createOutboxTables } from './tables.ts';

const topic = 'tickets.v1';
const compactionLagMs = 60_000;

describe('late ticks', () => {
  let db: Kysely<unknown>;
  let nowMs: number;
  let woken: number;
  const clock: Clock = { ...systemClock, nowMs: () => nowMs };
  const logger = createLogger({ service: 'test', level: 'silent' });
  const pay = async () =>
    await payLateTicks({ db, topic, compactionLagMs, clock, logger, onEnqueued: () => woken++ });

  before(async function () {
    this.timeout(60_000);
    db = await openTestDatabase('outbox_late_ticks');
    await createOutboxTables(db);
    await createLateTickTable(db);
  });
  beforeEach(async () => {
    nowMs = 1_000_000;
    woken = 0;
    await sql`delete from outbox`.execute(db);
    await sql`delete from late_ticks`.execute(db);
  });

  /** As an erasure does it: what is to be compacted, a tick, and the debt of another. */
  const erase = async (partitions: readonly number[]) =>
    await db.transaction().execute(async (tx) => {
      const rows = partitions.map((partition) => ({ partition, kind: 'tick' }) as const);
      await enqueue(tx, topic, rows);
      await oweLateTicks(tx, topic, partitions);
    });
  const publish = async () => await sql`delete from outbox`.execute(db);
  const waiting = async (): Promise<readonly number[]> => {
    const { rows } = await sql<{ partition: number }>`
      select partition from outbox where kind = 3 order by partition`.execute(db);
    return rows.map(({ partition }) => partition);
  };

  it('come once the segment of what was published is over, once', async () => {
    await erase([0, 2]);
    await publish();
    await pay();
    nowMs += compactionLagMs;
    await pay();
    assert.deepEqual(await waiting(), []);
    nowMs += 10_000;
    await pay();
    assert.deepEqual(await waiting(), [0, 2]);
    assert.equal(woken, 1);
    await publish();
    nowMs += 10 * compactionLagMs;
    await pay();
    assert.deepEqual(await waiting(), []);
  });

  it('are counted from the publication, however long the log was away', async () => {
    await erase([1]);
    nowMs += 10 * compactionLagMs;
    await pay();
    await publish();
    await pay();
    assert.deepEqual(await waiting(), []);
    nowMs += compactionLagMs + 10_000;
    await pay();
    assert.deepEqual(await waiting(), [1]);
  });

  it('begin anew with another erasure', async () => {
    await erase([1]);
    await publish();
    await pay();
    nowMs += compactionLagMs;
    await erase([1]);
    await publish();
    nowMs += 10_000;
    await pay();
    assert.deepEqual(await waiting(), []);
    nowMs += compactionLagMs + 10_000;
    await pay();
    assert.deepEqual(await waiting(), [1]);
  });
});
