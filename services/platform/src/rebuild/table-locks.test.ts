import assert from 'node:assert/strict';
import { type Kysely, sql } from 'kysely';
import { SharedConnectionAdapter } from '../database/pglite.ts';
import { createEventStoreTables, type EventStoreSchema } from '../event-store/tables.ts';
import { systemClock } from '../lifecycle/clock.ts';
import { openTestDatabase } from '../testing/test-database.ts';
import { withTablesLocked } from './table-locks.ts';

/** Two transactions at once: on PostgreSQL alone, where integration-tests/contracts run this. */
describe('the locks of a rebuild', () => {
  let db: Kysely<EventStoreSchema>;

  beforeEach(async function () {
    this.timeout(60_000);
    db = await openTestDatabase<EventStoreSchema>('rebuild_table_locks');
    await createEventStoreTables(db);
  });

  it('are given up when somebody reads for long, and let others by until then', async function () {
    this.timeout(120_000);
    if (db.getExecutor().adapter instanceof SharedConnectionAdapter) this.skip();
    const reader = Promise.withResolvers<void>();
    const reading = Promise.withResolvers<void>();
    const dump = db.transaction().execute(async (tx) => {
      await sql`select 1 from streams`.execute(tx);
      reading.resolve();
      await reader.promise;
    });
    await reading.promise;
    let isOver = false;
    const locked = assert
      .rejects(
        withTablesLocked(db, systemClock, 'all', async () => {}),
        { reason: 'STORE_UNAVAILABLE' },
      )
      .finally(() => (isOver = true));
    let writes = 0;
    while (!isOver) {
      await sql`delete from streams`.execute(db);
      writes += 1;
    }
    await locked;
    assert.ok(writes > 10);
    reader.resolve();
    await dump;
    assert.equal(await withTablesLocked(db, systemClock, 'all', async () => 'locked'), 'locked');
  });
});
